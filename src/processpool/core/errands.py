"""Errands: what every worker does once, before anything else, those that come later included.

An errand is for one worker, so it neither waits in the queue nor is given to another one: if its
worker ends first, it is dropped.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from processpool.core.jobs import Batch

if TYPE_CHECKING:
    from collections.abc import Collection

    from processpool.core.jobs import Job
    from processpool.core.slot import Slot


class Errand:
    """What all workers are to do: an item of `job` for each of them."""

    def __init__(self, job: Job, payload: Any) -> None:
        self.job = job
        self.payload = payload
        self.workers = 0
        """The number of workers that have been told; the next one's item has this index."""
        self.current = 0
        """Those of them that were there already."""

    def batch(self, now: float) -> Batch:
        """Return the item of the next worker."""
        index, self.workers = self.workers, self.workers + 1
        return Batch(self.job, index, (self.payload,), now)

    def is_same(self, other: Errand) -> bool:
        """True if another errand does the same, so that a new worker need not do both."""
        mine, others = (self.job.task, self.payload), (other.job.task, other.payload)
        return mine == others


class Errands:
    """The errands of a pool's workers."""

    def __init__(self) -> None:
        self.waiting: dict[int, deque[Batch]] = {}
        """By worker: the errands that it has not been given yet, in order."""
        self._everywhere: list[Errand] = []

    def add(self, errand: Errand, slots: Collection[Slot], now: float) -> None:
        """Have all these workers run an errand, and those that are started from now on."""
        self._everywhere = [one for one in self._everywhere if not one.is_same(errand)]
        self._everywhere.append(errand)
        for slot in slots:
            self.waiting.setdefault(slot.id, deque()).append(errand.batch(now))
        errand.current = errand.workers

    def forget(self, job: Job) -> None:
        """Spare the workers to come an errand, as it has ended one."""
        self._everywhere = [one for one in self._everywhere if one.job is not job]

    def greet(self, worker: int, now: float) -> None:
        """A worker is being started: it does first whatever all are to do."""
        if self._everywhere:
            self.waiting[worker] = deque(errand.batch(now) for errand in self._everywhere)

    def take(self, worker: int) -> Batch:
        """Return the next errand of a worker."""
        waiting = self.waiting[worker]
        batch = waiting.popleft()
        if not waiting:
            del self.waiting[worker]
        return batch
