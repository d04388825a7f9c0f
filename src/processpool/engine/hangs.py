"""Programs that have a request and stay silent: why, if that can be seen, is logged once a pool.

While a program has an item, it is looked at now and then. If for a second it awaits input, has used
no CPU time and has written nothing, then it holds its output back, or waits for more of the
request.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from processpool.core.states import WorkerState
from processpool.system.readiness import reason_of_silence, ticks_of

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.event_hub import EventHub
    from processpool.engine.workers.worker import Worker

INTERVAL = 0.25
"""Seconds between two looks, and that an item must have taken to be looked at."""
MOST = 8
"""Workers that are looked at each time: those that have had their items longest."""
SILENT = 1.0
"""Seconds of silence that are not told to be work."""


class _Silence(NamedTuple):
    item: float
    output: int
    ticks: int


class Hangs:
    """Looks at the foreign programs of one engine while they are at work."""

    def __init__(self, core: Core, hub: EventHub) -> None:
        self.is_looking = False
        """True while it looks, and once it has nothing more to say."""
        self._is_told = False
        self._core = core
        self._hub = hub
        self._silent: dict[int, tuple[_Silence, float]] = {}
        """Worker → what was seen of it, and since when that has not changed."""

    def begin(self) -> None:
        """Some program has got an item: look at it in a while. Takes no lock."""
        self.is_looking = True
        self._core.loop.post(self._look_later)

    def _look_later(self) -> None:
        self._core.loop.later(INTERVAL, self._look)

    def _look(self) -> None:
        """Look at all that are at work; stop when none is, or when it was said."""
        core = self._core
        with core.lock:
            busy = [
                (worker, core.scheduler.slots[number].since)
                for number, worker in core.workers.items()
                if worker.trial.is_foreign
                and core.scheduler.slots[number].state is WorkerState.BUSY
            ]
            if not busy:
                self.is_looking = False
                self._silent.clear()
        latest = monotonic() - INTERVAL
        slow = sorted((since, worker.id, worker) for worker, since in busy if since <= latest)
        for since, _, worker in slow[:MOST]:
            self.look_at(worker, since)
        if busy and not self._is_told:
            self._look_later()

    def look_at(self, worker: Worker, item: float) -> None:
        """Say why a worker is silent that has its item since then, if that can be seen."""
        if self._is_told or not worker.trial.is_foreign:
            return
        now = monotonic()
        with worker.io:
            if worker.is_closed:
                return
            seen = _Silence(
                item, len(worker.protocol.unfinished().raw or b""), ticks_of(worker.process)
            )
            before, since = self._silent.get(worker.id, (None, now))
            if seen != before:
                self._silent[worker.id] = seen, now
                return
            reason = reason_of_silence(worker.process) if now - since >= SILENT else None
        if reason is not None:
            self._is_told = True
            self._hub.warn(
                "worker %d (pid %d) has had its item for %.1f s and said nothing; %s",
                worker.id, worker.pid, now - item, reason, worker=worker.id,
            )  # fmt: skip
