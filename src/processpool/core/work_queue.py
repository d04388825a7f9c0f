"""The line of batches that wait for a worker, and of those that wait to be tried again."""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from processpool.core.jobs import Batch, Job


class WorkQueue:
    """First in, first out; what comes back from a worker goes to the front."""

    def __init__(self) -> None:
        self.items = 0
        """Items that wait, the cancelled ones left out."""
        self._line: deque[Batch] = deque()
        self._delayed: list[tuple[float, int, Batch]] = []
        self._order = count()

    def __bool__(self) -> bool:
        return bool(self._line)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._line)

    @property
    def first(self) -> Batch:
        """The batch whose turn it is."""
        return self._line[0]

    @property
    def next_due(self) -> float | None:
        """When the next delayed batch is to be tried again."""
        return self._delayed[0][0] if self._delayed else None

    @property
    def has_delayed(self) -> bool:
        """True while a batch waits to be tried again."""
        return bool(self._delayed)

    def delays(self, job: Job) -> bool:
        """True if an item of this job waits to be tried again."""
        return any(batch.job is job for _, _, batch in self._delayed)

    def append(self, batch: Batch) -> None:
        """New work has come in."""
        self._line.append(batch)
        self._count(batch, len(batch))

    def put_back(self, batches: Iterable[Batch]) -> None:
        """These come first again, in their order."""
        for batch in reversed(list(batches)):
            self._line.appendleft(batch)
            self._count(batch, len(batch))

    def take_back(self, batches: Iterable[Batch]) -> None:
        """These were handed out and not begun, which counts for nothing: they come first again."""
        batches = list(batches)
        for batch in batches:
            batch.attempts -= 1
        self.put_back(batches)

    def delay(self, batch: Batch, due: float) -> None:
        """This batch joins the line at that time."""
        heapq.heappush(self._delayed, (due, next(self._order), batch))

    def wake(self, now: float) -> None:
        """Let those join the line whose time has come."""
        while self._delayed and self._delayed[0][0] <= now:
            self.put_back([heapq.heappop(self._delayed)[2]])

    def take(self, size: int) -> Batch:
        """The first batch, or as much of it."""
        first = self._line[0]
        batch = first.advance(size) if len(first) > size else self._line.popleft()
        self._count(batch, -len(batch))
        return batch

    def forget(self, job: Job) -> list[Batch]:
        """The job is cancelled: its items count no more, and go when their turn comes.

        Returns:
            those that wait to be tried again: they go now, as their turn may be far away.
        """
        self.items -= job.queued
        job.queued = 0
        job.cancelled = True
        waiting = [batch for _, _, batch in self._delayed if batch.job is job]
        if waiting:
            self._delayed = [entry for entry in self._delayed if entry[2].job is not job]
            heapq.heapify(self._delayed)
        return waiting

    def clear(self) -> list[Batch]:
        """Everything that waited."""
        batches = [*self._line, *(batch for _, _, batch in sorted(self._delayed))]
        for batch in batches:
            batch.job.queued = 0
        self._line.clear()
        self._delayed.clear()
        self.items = 0
        return batches

    def _count(self, batch: Batch, items: int) -> None:
        if not batch.job.cancelled:
            self.items += items
            batch.job.queued += items
