"""The queue: batches that wait for a worker, and those that wait for a retry.

Jobs take turns, so that work submitted after a map of a million items waits for one batch of it,
not for all. The line therefore has one batch of each job, the first; the job's other batches wait
behind that. When items are taken from a job, it goes to the end of the line.

There is a line for each priority in use. Whoever takes items looks at the highest one only, which
is never empty unless all are.
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
    """A queue that is FIFO within a job and round-robin between jobs of the same priority.

    Those of a higher priority go first; and of one priority, requeued batches do.
    """

    def __init__(self) -> None:
        self.items = 0
        """The number of queued items, without cancelled ones."""
        self.line: deque[Batch] = deque()
        """The first batch of each job; that of the job whose turn it is comes first. Of jobs with
        the highest priority; those of the others are in `_lower`."""
        self.priority = 0
        """The highest priority, that of the line."""
        self.is_mixed = False
        """True once there were items of several priorities at a time, or of another than 0."""
        self._lower: dict[int, deque[Batch]] = {}
        """The lines of lower priorities, none of them empty."""
        self._first: dict[Job, Batch] = {}
        """The batches in the line, by job."""
        self._behind: dict[Job, deque[Batch]] = {}
        """The further batches of jobs that have more than one."""
        self._delayed: list[tuple[float, int, Batch]] = []
        self.held: list[Batch] = []
        """Single items that wait for memory, in the order in which they were taken back."""
        self._order = count()

    def __bool__(self) -> bool:
        return bool(self.line)

    def __iter__(self) -> Iterator[Batch]:
        for line in (self.line, *(self._lower[p] for p in sorted(self._lower, reverse=True))):
            for batch in line:
                yield batch
                yield from self._behind.get(batch.job, ())

    @property
    def first(self) -> Batch:
        """The batch that is next."""
        return self.line[0]

    @property
    def next_due(self) -> float | None:
        """The time of the next retry; None if there is none."""
        return self._delayed[0][0] if self._delayed else None

    @property
    def has_delayed(self) -> bool:
        """True while a batch waits for a retry, or for memory."""
        return bool(self._delayed or self.held)

    def delays(self, job: Job) -> bool:
        """True if an item of this job waits for a retry, or for memory."""
        return any(batch.job is job for batch in self._waiting)

    def append(self, batch: Batch) -> None:
        """Add new work."""
        if batch.job in self._first:
            self._behind.setdefault(batch.job, deque()).append(batch)
        else:
            self._first[batch.job] = batch
            self._line_of(batch.job).append(batch)
        self._count(batch, len(batch))

    def put_back(self, batches: Iterable[Batch]) -> None:
        """Put batches back in front, in their order."""
        for batch in reversed(list(batches)):
            earlier, line = self._first.get(batch.job), self._line_of(batch.job)
            if earlier is not None:
                line.remove(earlier)
                self._behind.setdefault(batch.job, deque()).appendleft(earlier)
            self._first[batch.job] = batch
            line.appendleft(batch)
            self._count(batch, len(batch))

    def take_back(self, batches: Iterable[Batch]) -> None:
        """Put unbegun batches back in front; their assignment does not count as an attempt."""
        batches = list(batches)
        for batch in batches:
            batch.attempts -= 1
        self.put_back(batches)

    def delay(self, batch: Batch, due: float) -> None:
        """Put a batch into the line at the time `due`."""
        heapq.heappush(self._delayed, (due, next(self._order), batch))

    @property
    def _waiting(self) -> list[Batch]:
        return [*(batch for _, _, batch in self._delayed), *self.held]

    def hold(self, batch: Batch) -> None:
        """Keep an item until there is memory for it."""
        self.held.append(batch)

    def release(self, batch: Batch) -> None:
        """Take out an item that was held."""
        self.held.remove(batch)

    def wake(self, now: float) -> None:
        """Put delayed batches that are due into the line."""
        while self._delayed and self._delayed[0][0] <= now:
            self.put_back([heapq.heappop(self._delayed)[2]])

    def take(self, size: int) -> Batch:
        """Take the first batch, or `size` items of it; then it is another job's turn."""
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
        """Put the next batch of a job, whose first one was taken, at the end of the line."""
        behind = self._behind.get(job)
        if behind is None:
            del self._first[job]
            if not self.line and self._lower:
                self._sink()
            return
        self._first[job] = behind.popleft()
        self.line.append(self._first[job])
        if not behind:
            del self._behind[job]

    def _line_of(self, job: Job) -> deque[Batch]:
        """Return the line of a job's priority, in which it is about to get."""
        priority = job.terms.priority
        if priority == self.priority:
            return self.line
        self.is_mixed = True
        if not self.line:
            self.priority = priority
            return self.line
        if priority > self.priority:
            self._lower[self.priority] = self.line
            self.line, self.priority = deque(), priority
            return self.line
        return self._lower.setdefault(priority, deque())

    def _sink(self) -> None:
        """The line is empty: the next lower one takes its place."""
        self.priority = max(self._lower)
        self.line = self._lower.pop(self.priority)

    @property
    def has_lower(self) -> bool:
        """True if there are items of a lower priority than the highest."""
        return bool(self._lower)

    def forget(self, job: Job) -> list[Batch]:
        """Cancel a job: its items no longer count, and are dropped when their turn comes.

        Returns:
            those that wait for a retry or for memory, which are to be dropped now, since their turn
            may be far off.
        """
        self.items -= job.queued
        job.queued = 0
        job.cancelled = True
        waiting = [batch for batch in self._waiting if batch.job is job]
        if waiting:
            self.held = [batch for batch in self.held if batch.job is not job]
            self._delayed = [entry for entry in self._delayed if entry[2].job is not job]
            heapq.heapify(self._delayed)
        return waiting

    def clear(self) -> list[Batch]:
        """Empty the queue, and return all batches."""
        self._delayed.sort()
        batches = [*self, *self._waiting]
        for batch in batches:
            batch.job.queued = 0
        self.line.clear()
        self._lower.clear()
        self._first.clear()
        self._behind.clear()
        self._delayed.clear()
        self.held.clear()
        self.items = 0
        return batches

    def _count(self, batch: Batch, items: int) -> None:
        if not batch.job.cancelled:
            self.items += items
            batch.job.queued += items
