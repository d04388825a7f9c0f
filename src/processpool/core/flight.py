"""Items in flight: those that workers have, until they are answered, lost or requeued."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from processpool.core.commands import Done, Drop, Lost, Retry, TakeBack
from processpool.core.exit_reason import ExitReason
from processpool.core.states import WorkerState
from processpool.core.terms import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.core.budget import Budget
    from processpool.core.commands import Command
    from processpool.core.exits import Exits
    from processpool.core.fleet import Fleet
    from processpool.core.jobs import Batch, Job
    from processpool.core.slot import Slot
    from processpool.core.states import PoolState
    from processpool.core.work_queue import WorkQueue

_RETRY_WORDS = {None: "crash", ExitReason.TIMEOUT: "timeout"}
"""The names in `retry.on` of the ways in which a worker ends."""


class Flight:
    """The items that are assigned to workers and not answered."""

    def __init__(self, fleet: Fleet, queue: WorkQueue, exits: Exits) -> None:
        self._fleet = fleet
        self._queue = queue
        self._exits = exits
        self.budget: Budget | None = None
        """What memory there is; set once there is one."""

    def answered(self, slot: Slot, items: int) -> Iterator[Done]:
        """Note that a worker has answered its next `items` items; yield them as batches."""
        for batch in self.take(slot, items):
            yield Done(slot.id, batch)

    def take(self, slot: Slot, items: int) -> list[Batch]:
        """Take a worker's next `items` items, as batches."""
        inflight = slot.inflight
        if items and inflight[0].hi - inflight[0].lo == items:
            return [inflight.popleft()]
        taken: list[Batch] = []
        while items:
            batch = inflight.popleft()
            if len(batch) > items:
                batch, rest = batch.split(items)
                inflight.appendleft(rest)
            items -= len(batch)
            taken.append(batch)
        return taken

    def give_back(self, slot: Slot, keep: int, *, singly: bool) -> None:
        """Requeue all but the first `keep` items of a worker's first batch."""
        kept, batch = slot.inflight.popleft().split(keep)
        if keep:
            slot.inflight.appendleft(kept)
        self._queue.take_back(singles(batch) if singly else [batch])
        self._fleet.relieve(slot, len(batch))

    def take_back(self, slot: Slot, batches: list[Batch]) -> None:
        """Requeue batches that a worker has not begun, or the ends of batches."""
        taken: list[Batch] = []
        kept: deque[Batch] = deque()
        for batch in slot.inflight:
            end = next((end for end in batches if _ends(end, batch)), None)
            if end is None:
                kept.append(batch)
            elif len(end) >= len(batch):
                taken.append(batch)
            else:
                begun, rest = batch.split(len(batch) - len(end))
                kept.append(begun)
                taken.append(rest)
        slot.inflight = kept
        self._queue.take_back(taken)
        self._fleet.relieve(slot, sum(map(len, taken)))

    def cancel(self, job: Job, state: PoolState, *, kill: bool) -> list[Command]:
        """Cancel the items of a job that have not begun; with `kill`, end its workers too."""
        out: list[Command] = [Drop(batch, state) for batch in self._queue.forget(job)]
        job.killed = job.killed or kill
        if kill:
            for slot in self._fleet.slots.values():
                if self._works_on(slot, job):
                    out += self._exits.end(slot, ExitReason.CANCELLED)
        elif self._fleet.policy.takes_back:
            for slot in self._fleet.prefetching.values():
                if slot.state is WorkerState.BUSY and any(b.job is job for b in slot.inflight):
                    out.append(TakeBack(slot.id, read=True))
        return out

    def _works_on(self, slot: Slot, job: Job) -> bool:
        """True if the worker is running an item of this job, as far as the pool knows.

        A single item that is not first in line, but could not be recalled, counts too: the items
        before it have been answered, and only their answers have not been read yet.
        """
        if not slot.inflight:
            return False
        if slot.inflight[0].job is job:
            return True
        single = self._fleet.policy.takes_back and not job.number
        return single and any(batch.job is job for batch in slot.inflight)

    def holder(self, job: Job) -> int | None:
        """Return the worker that has prefetched this job's only item; None if there is none."""
        for slot in self._fleet.prefetching.values():
            if any(batch.job is job for batch in slot.inflight):
                return slot.id
        return None

    def give_up(self, slot: Slot, now: float, *, begun: bool, singly: bool) -> list[Lost | Retry]:
        """Requeue the items of a worker that has ended, except the one that it had begun.

        With `singly`, the worker died over its first batch before an item had begun. The items of
        that batch are then requeued one by one, which will show which of them is to blame.
        """
        if slot.exit_reason is ExitReason.MEMORY and slot.inflight and begun:
            return self._hold_first(slot, now)
        if singly and slot.inflight and len(slot.inflight[0]) > 1:
            slot.inflight.extendleft(reversed(singles(slot.inflight.popleft())))
        elif slot.inflight and (begun or singly or slot.costs_item):
            return [self._lose_first(slot, now)]
        self._queue.take_back(slot.inflight)
        return []

    def _hold_first(self, slot: Slot, now: float) -> list[Lost | Retry]:
        """Hold the item that was taken from a worker, until there is memory for it."""
        running, rest = slot.inflight.popleft().split(1)
        if len(rest):
            slot.inflight.appendleft(rest)
        self._queue.take_back(slot.inflight)
        if running.job.cancelled or running.job.is_errand or self.budget is None:
            return [Lost(running, ExitReason.CANCELLED)]
        if running.job.terms.retries is NEVER:
            return [Lost(running, ExitReason.OUT_OF_MEMORY)]
        self.budget.take_back(slot, running, now)
        return []

    def _lose_first(self, slot: Slot, now: float) -> Lost | Retry:
        running, rest = slot.inflight.popleft().split(1)
        slot.failed += 1
        if len(rest):
            slot.inflight.appendleft(rest)
        self._queue.take_back(slot.inflight)
        reason = _RETRY_WORDS.get(slot.exit_reason)
        if reason and self.retry(running, reason, now):
            return Retry(running, slot.exit_reason)
        return Lost(running, slot.exit_reason)

    def retry(self, batch: Batch, reason: str, now: float) -> bool:
        """Schedule another attempt of an item that failed; return False if there is none left."""
        policy = self._fleet.policy
        retries = policy.retries if batch.job.terms.retries is None else batch.job.terms.retries
        if batch.job.cancelled or batch.job.is_errand or not retries.allow(reason, batch.attempts):
            return False
        self._queue.delay(batch, now + policy.delay(batch.attempts - 1))
        return True


def _ends(end: Batch, batch: Batch) -> bool:
    """True if one batch is the end of another one, or the whole of it."""
    same = end.items is batch.items and end.job is batch.job
    return same and end.base == batch.base and end.hi == batch.hi


def singles(batch: Batch) -> list[Batch]:
    """Split a batch into batches of one item each."""
    found = []
    while len(batch) > 1:
        single, batch = batch.split(1)
        found.append(single)
    return [*found, batch]
