"""Assignment of queued items, and of leases that are waited for, to workers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from processpool.core.budget import Budget
from processpool.core.commands import Drop, Grant, Send, TakeBack
from processpool.core.errands import Errands
from processpool.core.precedence import Precedence
from processpool.core.states import PoolState, WorkerEvent, WorkerState

if TYPE_CHECKING:
    from processpool.core.commands import Command, LeaseWaiter
    from processpool.core.deadlines import Deadlines
    from processpool.core.fleet import Fleet
    from processpool.core.jobs import Batch
    from processpool.core.retirement import Retirement
    from processpool.core.slot import Slot
    from processpool.core.work_queue import WorkQueue

ASSIGNING = frozenset({PoolState.OPEN, PoolState.CLOSING})
"""The states in which a pool assigns work to its workers."""


class Assignment:
    """Assigns workers to waiting leases first, then items to the remaining workers."""

    def __init__(
        self, fleet: Fleet, queue: WorkQueue, deadlines: Deadlines, retirement: Retirement
    ) -> None:
        self.waiters: deque[LeaseWaiter] = deque()
        """The callers that wait for a lease, in order; they come before the queue."""
        self.errands = Errands()
        """What each worker is to do before anything else."""
        self.others_first = False
        """True while a lease or an errand comes before the queue; see `note_others`."""
        self._fleet = fleet
        self._queue = queue
        self._deadlines = deadlines
        self._retirement = retirement
        self._precedence = Precedence(fleet, queue)
        self.budget = Budget(fleet, queue)
        """What memory there is, and for whom; of use where the policy sets a limit."""

    def assign(self, state: PoolState, now: float) -> list[Command]:
        """Assign as many leases and items as possible."""
        out: list[Command] = []
        if state not in ASSIGNING:
            return out
        fleet, queue = self._fleet, self._queue
        if self.errands.waiting:
            out += self._run_errands(now)
        while self.waiters and fleet.has_free_worker:
            out.append(self._grant(now))
        if fleet.policy.memory is not None:
            return out + self._assign_sparingly(state, now)
        while queue:
            if queue.first.job.cancelled:
                out.append(Drop(queue.take(len(queue.first)), state))
                continue
            slot = self._next_free()
            if slot is None:
                break
            if queue.is_mixed and (ahead := self._precedence.ahead(slot)):
                return out + ahead
            out.append(self._hand_over(slot, now))
        if queue.is_mixed and queue:
            out += self._precedence.in_the_way()
        if fleet.policy.takes_back and not queue and fleet.has_free_worker:
            out += self._recall()
        return out

    def _assign_sparingly(self, state: PoolState, now: float) -> list[Command]:
        """Assign items as long as there is memory for them."""
        out: list[Command] = []
        queue, budget = self._queue, self.budget
        while queue or queue.held:
            if queue and queue.first.job.cancelled:
                out.append(Drop(queue.take(len(queue.first)), state))
                continue
            slot = self._next_free()
            if slot is None:
                break
            held = None if slot.load else budget.next_held(slot)
            if held is not None:
                out.append(self._give(slot, held, now))
            elif queue and (slot.load or budget.admits(queue.first, slot, now)):
                out.append(self._hand_over(slot, now))
            else:
                break
        return out

    def refuse_waiters(self, state: PoolState) -> None:
        """Set `pool_state` of all waiting leases, as they will never get a worker."""
        for waiter in self.waiters:
            waiter.pool_state = state
        self.waiters.clear()
        self.note_others()

    def note_others(self) -> None:
        """Note whether anything comes before the queue, after a change of that."""
        self.others_first = bool(self.waiters or self.errands.waiting)

    def begin_item(self, slot: Slot, now: float) -> None:
        """Note that a worker begins its next item, and set the deadline of that."""
        slot.since = now
        if self._fleet.policy.memory is not None:
            self.budget.began(slot)
        timeout = slot.inflight[0].job.timeout
        if timeout is None:
            slot.deadline = None
        else:
            self._deadlines.set(slot, now + timeout)

    def note_capacity(self, slot: Slot) -> None:
        """After an answer: a worker with at most half of its window in use has capacity again."""
        window = self._fleet.window(slot, slot.inflight[0].job.window)
        if slot.load * 2 <= window and slot.takes_more:
            self._fleet.has_capacity[slot.id] = slot

    def _grant(self, now: float) -> Grant:
        waiter = self.waiters.popleft()
        self.note_others()
        waiter.granted = self._fleet.take_idle(now).id
        return Grant(waiter.granted, waiter)

    def _next_free(self) -> Slot | None:
        """Return the next idle worker, or one with room."""
        fleet = self._fleet
        if fleet.has_free_worker:
            return fleet.next_idle
        if self._queue.is_mixed:
            return self._precedence.next_free()
        return next(iter(fleet.has_capacity.values()), None)

    def _hand_over(self, slot: Slot, now: float) -> Send:
        """Assign as much of the queue's first batch to a worker as its window allows."""
        fleet = self._fleet
        window = fleet.window(slot, self._queue.first.job.window)
        size = max(1, min(window - slot.load, self._fair_share()))
        if slot.remaining is not None:
            size = max(1, min(size, slot.remaining))
        if slot.handled < slot.trial:
            size = 1
        send = self._give(slot, self._queue.take(size), now)
        if slot.load < window and slot.takes_more:
            fleet.has_capacity[slot.id] = slot  # behind the others, which have fewer items
        if slot.load > 1:
            fleet.prefetching[slot.id] = slot
        return send

    def _give(self, slot: Slot, batch: Batch, now: float) -> Send:
        """Give a worker items, behind those that it has."""
        fleet = self._fleet
        batch.job.begun = True
        batch.sent_at = now
        batch.attempts += 1
        slot.asked = None
        slot.inflight.append(batch)
        slot.load += len(batch)
        fleet.running += len(batch)
        if slot.load == len(batch):
            self.begin_item(slot, now)
        fleet.move(slot, WorkerEvent.ASSIGNED)
        fleet.idle.pop(slot.id, None)
        fleet.has_capacity.pop(slot.id, None)
        self._retirement.note_expiry(slot, now)
        return Send(slot.id, batch)

    def _run_errands(self, now: float) -> list[Send]:
        """Give the workers that are free what they are to do first."""
        out = []
        for worker in list(self.errands.waiting):
            slot = self._fleet.slots.get(worker)
            if slot is not None and slot.state is WorkerState.IDLE:
                out.append(self._give(slot, self.errands.take(worker), now))
        self.note_others()
        return out

    def _fair_share(self) -> int:
        """Return how many items each worker gets if the queue is divided equally."""
        fleet = self._fleet
        takers = len(fleet.idle) or fleet.counts[WorkerState.BUSY]
        queue = self._queue
        items = queue.first.job.queued if queue.has_lower else queue.items
        return max(1, -(-items // (takers + fleet.counts[WorkerState.STARTING])))

    def _recall(self) -> list[Command]:
        """Recall unbegun items from the worker that has most, as another worker is idle."""
        prefetching = self._fleet.prefetching
        for slot in list(prefetching.values()):
            if slot.load < 2 or slot.state is not WorkerState.BUSY:
                del prefetching[slot.id]
        ahead = [slot for slot in prefetching.values() if slot.exact or len(slot.inflight) > 1]
        return [TakeBack(max(ahead, key=lambda slot: slot.load).id)] if ahead else []
