"""The maps of a pool for displays, and how many items have ended how, in maps and elsewhere."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol

from processpool.engine.failure_log import FailureLog

if TYPE_CHECKING:
    from processpool.core.run_record import RunRecord
    from processpool.core.snapshot import MapSnapshot

MAX_ENDED = 3
"""The number of ended maps that are kept."""


class MapInProgress(Protocol):
    """A running map, as displays use it."""

    def snapshot(self) -> MapSnapshot:
        """Return a snapshot of its progress."""

    def look(self) -> RunRecord:
        """Return how it has run so far."""

    def stop(self) -> None:
        """Stop the map: its consumer gets `CancelledError`."""


class Totals(NamedTuple):
    """How the items of a pool have ended so far; together they are all that have ended."""

    ok: int
    failed: int
    cancelled: int


class Maps:
    """The maps of a pool, and the failures of its items."""

    def __init__(self) -> None:
        self.running: dict[int, MapInProgress] = {}
        """The running maps, by number."""
        self.ended: deque[MapSnapshot] = deque(maxlen=MAX_ENDED)
        """The last few that have ended, the newest last; without very short ones."""
        self.recorded: deque[RunRecord] = deque(maxlen=MAX_ENDED)
        """How the last few have run, the newest last."""
        self.failures = FailureLog()
        self._finals: deque[MapSnapshot] = deque()
        """Maps that have ended, and are not in `_past` yet."""
        self._past = Totals(0, 0, 0)
        self._lock = Lock()
        """Guards `_past`; never taken where a map ends, which the garbage collector may do."""

    def records(self) -> tuple[RunRecord, ...]:
        """Return how the last few maps have run, then how those run that are in progress."""
        return (*self.recorded, *(run.look() for run in list(self.running.values())))

    def end(self, last: MapSnapshot, *, remember: bool) -> None:
        """A map has ended like this; `remember` says whether displays go on to show it."""
        self._finals.append(last)
        self.running.pop(last.id, None)
        if remember:
            self.ended.append(last)

    def totals(self, running: list[MapSnapshot], singles: int) -> Totals:
        """Return how the items of all maps, and single requests, have ended.

        Args:
            running: snapshots of the running maps, taken before this is called.
            singles: single requests that were answered or lost.
        """
        failures = self.failures
        with self._lock:
            finals = [self._finals.popleft() for _ in range(len(self._finals))]
            self._past = past = Totals(
                self._past.ok + sum(run.ok for run in finals),
                self._past.failed + sum(run.failed for run in finals),
                self._past.cancelled + sum(run.cancelled for run in finals),
            )
            ended = {run.id for run in finals}
        now = [run for run in running if run.id not in ended and run.id in self.running]
        answered = singles - failures.singles_failed - failures.singles_killed
        return Totals(
            past.ok + sum(run.ok for run in now) + max(answered, 0),
            past.failed + sum(run.failed for run in now) + failures.singles_failed,
            past.cancelled + sum(run.cancelled for run in now) + failures.singles_cancelled,
        )
