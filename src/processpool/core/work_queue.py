"""The line of batches that wait for a worker, and of those that wait to be tried again.

Jobs take turns: whoever comes after a map of a million items waits for one batch of it, not for all
of them. So the line holds one batch of each job, its first; the job's others wait behind that one.
When part of it is taken, the job goes to the end of the line. With priorities, there would be one
line for each.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from processpool.core.jobs import Batch, Job


class WorkQueue:
    """First in, first out within a job, in turns between jobs; what comes back goes first."""

    def __init__(self) -> None:
        self.items = 0
        """Items that wait, without cancelled ones."""
        self.line: deque[Batch] = deque()
        """The first batch of each job, that whose turn it is in front."""
        self._first: dict[Job, Batch] = {}
        """The batch in the line, by its job."""
        self._behind: dict[Job, deque[Batch]] = {}
        """The other batches of those jobs that have any."""
        self._delayed: list[tuple[float, int, Batch]] = []
        self._order = count()

    def __bool__(self) -> bool:
        return bool(self.line)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.line:
            yield batch
            yield from self._behind.get(batch.job, ())

    @property
    def first(self) -> Batch:
        """The batch whose turn it is."""
        return self.line[0]

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
        """Add new work."""
        if batch.job in self._first:
            self._behind.setdefault(batch.job, deque()).append(batch)
        else:
            self._first[batch.job] = batch
            self.line.append(batch)
        self._count(batch, len(batch))

    def put_back(self, batches: Iterable[Batch]) -> None:
        """Put batches back in front, in their order."""
        for batch in reversed(list(batches)):
            earlier = self._first.get(batch.job)
            if earlier is not None:
                self.line.remove(earlier)
                self._behind.setdefault(batch.job, deque()).appendleft(earlier)
            self._first[batch.job] = batch
            self.line.appendleft(batch)
            self._count(batch, len(batch))

    def take_back(self, batches: Iterable[Batch]) -> None:
        """Put back in front what was handed out and not begun, which counts as no attempt."""
        batches = list(batches)
        for batch in batches:
            batch.attempts -= 1
        self.put_back(batches)

    def delay(self, batch: Batch, due: float) -> None:
        """Have a batch join the line at that time."""
        heapq.heappush(self._delayed, (due, next(self._order), batch))

    def wake(self, now: float) -> None:
        """Add delayed batches whose time has come to the line."""
        while self._delayed and self._delayed[0][0] <= now:
            self.put_back([heapq.heappop(self._delayed)[2]])

    def take(self, size: int) -> Batch:
        """Take the first batch, or `count` items of it; then it is another job's turn."""
        line, first = self.line, self.line[0]
        if len(first) > size:
            batch = first.advance(size)
            line.rotate(-1)
        else:
            batch = line.popleft()
            self._move_up(batch.job)
        self._count(batch, -len(batch))
        return batch

    def _move_up(self, job: Job) -> None:
        """Put the next batch of a job whose first one has left the line at the end of it."""
        behind = self._behind.get(job)
        if behind is None:
            del self._first[job]
            return
        self._first[job] = behind.popleft()
        self.line.append(self._first[job])
        if not behind:
            del self._behind[job]

    def forget(self, job: Job) -> list[Batch]:
        """Cancel a job: its items do not count any more, and are dropped when their turn comes.

        Returns:
            those that wait to be tried again: they are dropped now, as their turn may be far off.
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
        """Empty the queue; return everything that waited."""
        batches = [*self, *(batch for _, _, batch in sorted(self._delayed))]
        for batch in batches:
            batch.job.queued = 0
        self.line.clear()
        self._first.clear()
        self._behind.clear()
        self._delayed.clear()
        self.items = 0
        return batches

    def _count(self, batch: Batch, items: int) -> None:
        if not batch.job.cancelled:
            self.items += items
            batch.job.queued += items
