"""Figures that only show over time: items per second, the usual duration of an item, CPU use.

They are computed from snapshots, so displaying a pool costs nothing between two of them.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from processpool.core.snapshot import PoolSnapshot, WorkerSnapshot

RATE_OVER = 2.0
"""The seconds over which the rate of items is averaged."""
MAX_DURATIONS = 100
"""The number of durations from which the median is taken."""
ITEMS_TIMED = 16
"""Workers whose items are timed at a look; if more have ended some, others at each look."""
LATE_FACTOR = 3.0
"""An item is late once it has taken more than this multiple of the median,"""
LATE_AT_LEAST = 1.0
"""and more than this many seconds."""
RARE = 0.95
"""and longer than this share of the items of its function did."""
MAX_FUNCTIONS = 20
"""The most functions whose durations are known."""
LONG_FACTOR = 2.0
LONG_AT_LEAST = 1.0
"""The same for an item that runs long."""


class Paces:
    """The figures of one pool over time. Its memory is bounded by the pool's size."""

    def __init__(self) -> None:
        self.rate = 0.0
        """Finished items per second."""
        self.cpu: dict[int, float] = {}
        """CPU use in percent of one CPU, by worker."""
        self.memory: dict[int, int] = {}
        """Resident memory in bytes, by worker."""
        self._finished: deque[tuple[float, int]] = deque()
        self._durations: deque[float] = deque(maxlen=MAX_DURATIONS)
        self._by_function: dict[str, deque[float]] = {}
        self._before: dict[int, WorkerSnapshot] = {}
        self._at = 0.0
        self._turn = 0
        self._cpu_read: dict[int, tuple[float, float]] = {}

    def note(self, snapshot: PoolSnapshot) -> None:
        """Update the figures from a snapshot."""
        self._note_rate(snapshot)
        known, now = self._before, snapshot.at
        present = {worker.id: worker for worker in snapshot.workers}
        ended = [
            (known[number], worker)
            for number, worker in present.items()
            if number in known and worker.handled != known[number].handled
        ]
        step = len(ended) // ITEMS_TIMED + 1
        self._turn = (self._turn + 1) % step
        for before, worker in ended[self._turn :: step]:
            self._note_duration(before, worker, now)
        for worker in snapshot.workers:
            if worker.cpu is not None:
                self._note_resources(worker, worker.cpu, now)
        self._before, self._at = present, now
        self._forget_missing(present)

    @property
    def typical(self) -> float | None:
        """The median duration of an item in seconds; None while none has finished."""
        return median(self._durations) if self._durations else None

    def long(self, queued: int) -> float:
        """Return the age, in seconds, from which an item counts as running long.

        This depends on the median while items are queued. When none are, any worker that is still
        busy after `LONG_AT_LEAST` is of interest.
        """
        usual = self.typical if queued else None
        return max(LONG_FACTOR * (usual or 0.0), LONG_AT_LEAST)

    def late(self, workers: Iterable[WorkerSnapshot]) -> set[int]:
        """Return the workers whose current item takes much longer than usual."""
        old = [
            worker
            for worker in workers
            if worker.item_age is not None and worker.item_age > LATE_AT_LEAST
        ]
        limits: dict[str, float] = {}
        late = set()
        for worker in old:
            name = _function(worker)
            if name not in limits:
                limits[name] = self._limit(name)
            if worker.item is not None and (worker.item_age or 0.0) > limits[name]:
                late.add(worker.id)
        return late

    def _limit(self, name: str) -> float:
        """Return the age from which an item of a function is late: what is rare is."""
        known = sorted(self._by_function.get(name, ()))
        if not known:
            return float("inf")
        return max(LATE_FACTOR * median(known), known[int(RARE * len(known))])

    def _note_rate(self, snapshot: PoolSnapshot) -> None:
        seen = self._finished
        seen.append((snapshot.at, snapshot.finished))
        while len(seen) > 2 and seen[1][0] <= snapshot.at - RATE_OVER:
            seen.popleft()
        (since, before), (now, finished) = seen[0], seen[-1]
        self.rate = (finished - before) / (now - since) if now > since else 0.0

    def _note_duration(self, before: WorkerSnapshot, worker: WorkerSnapshot, now: float) -> None:
        """Record the average duration of the items that a worker finished since `before`."""
        if before.item_age is not None:
            began = self._at - before.item_age
            taken = now - (worker.item_age or 0.0) - began
            each = taken / (worker.handled - before.handled) if taken > 0 else 0.0
            self._durations.append(each)
            name = _function(before)
            known = self._by_function.get(name)
            if known is None:
                known = self._by_function[name] = deque(maxlen=MAX_DURATIONS)
                if len(self._by_function) > MAX_FUNCTIONS:
                    del self._by_function[next(iter(self._by_function))]
            known.append(each)

    def _note_resources(self, worker: WorkerSnapshot, cpu: float, now: float) -> None:
        self.memory[worker.id] = worker.memory or 0
        read_at, before = self._cpu_read.get(worker.id, (now - worker.age, 0.0))
        if now > read_at:
            self.cpu[worker.id] = max(cpu - before, 0.0) / (now - read_at) * 100
        self._cpu_read[worker.id] = now, cpu

    def _forget_missing(self, present: Collection[int]) -> None:
        for figures in (self.cpu, self.memory, self._cpu_read):
            if len(figures) > len(present):
                for number in [number for number in figures if number not in present]:
                    del figures[number]


def _function(worker: WorkerSnapshot) -> str:
    """Return the name of what a worker's item calls."""
    return "" if worker.work is None else str(getattr(worker.work[0], "label", ""))
