"""Fast paths for the decisions that nearly every item needs.

Each does exactly what the general events of the scheduler would do, in one step; or, if the case is
not the usual one, changes nothing and returns None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.fleet import QUICK
from processpool.core.lifecycle import Lifecycle
from processpool.core.states import PoolState, WorkerEvent, WorkerState

if TYPE_CHECKING:
    from processpool.core.commands import Command
    from processpool.core.jobs import Batch
    from processpool.core.slot import Slot

OPEN, BUSY = PoolState.OPEN, WorkerState.BUSY
"""What is looked at for each item, as names of its own."""


class ShortWay(Lifecycle):
    """The part of the scheduler for single items in the usual case."""

    def begin(self, batch: Batch, now: float) -> Slot | None:
        """Assign a new item to an idle worker, if there is one and nothing is queued.

        Returns:
            the worker to which the caller must write the item; None if it must submit the item.
        """
        fleet = self.fleet
        if self.queue.line or self.assignment.others_first or self.state is not OPEN:
            return None
        if fleet.policy.renews or not fleet.has_free_worker or batch.job.cancelled:
            return None
        number, slot = fleet.idle.popitem()
        batch.job.begun = True
        batch.sent_at = now
        batch.attempts += 1
        slot.inflight.append(batch)
        slot.load = 1
        fleet.running += 1
        fleet.move(slot, WorkerEvent.ASSIGNED)
        self.assignment.begin_item(slot, now)
        may_have_more = (batch.job.window or fleet.policy.window) > 1 and slot.takes_more
        if may_have_more and fleet.window(slot, batch.job.window) > 1:
            fleet.has_capacity[number] = slot
        return slot

    def finish(self, slot: Slot, now: float) -> list[Command] | None:
        """Make a worker idle that has answered its only item, if nothing is queued.

        Returns:
            the commands, usually none; None if this is not the usual case.
        """
        fleet = self.fleet
        if slot.load != 1 or slot.state is not BUSY or slot.inflight[0].job.cancelled:
            return None
        if self.queue.line or self.assignment.others_first or self.state is not OPEN:
            return None
        if fleet.policy.renews or fleet.prefetching or fleet.expiring:
            return None
        if not slot.inflight[0].job.number:
            self.singles += 1
        slot.inflight.clear()
        slot.load = 0
        fleet.running -= 1
        slot.handled += 1
        self.finished += 1
        fleet.move(slot, WorkerEvent.FINISHED)
        if slot.retiring is not None or len(fleet.slots) > fleet.policy.min:
            return self.retirement.park(slot, now)
        slot.since = now
        slot.deadline = None
        fleet.has_capacity.pop(slot.id, None)
        fleet.idle[slot.id] = slot
        return []

    def follow(self, slot: Slot, now: float) -> Batch | None:
        """Assign the next queued item to a worker that has answered its only one.

        For most items of a map, this replaces `answered` and everything that it leads to.

        Returns:
            the next item, which the caller must send; None if nothing is queued, or this is not the
            usual case.
        """
        queue, policy = self.queue, self.fleet.policy
        line = queue.line
        if slot.load != 1 or not line or slot.retiring is not None or self.assignment.others_first:
            return None
        if self.state is not OPEN or policy.renews or slot.state is not BUSY:
            return None
        first, batch = line[0], slot.inflight[0]
        job, ended = first.job, batch.job
        if job.cancelled or ended.cancelled or (job.window or policy.window) != 1:
            return None
        if not ended.number:
            self.singles += 1
        if job.takes_values and len(line) == 1 and batch.step(first):
            queue.items -= 1
            job.queued -= 1
        else:
            batch = slot.inflight[0] = queue.take(1)
        job.begun = True
        batch.sent_at = slot.since = now
        batch.attempts += 1
        slot.handled += 1
        self.finished += 1
        if job.timeout is None:
            slot.deadline = None
        else:
            self.deadlines.set(slot, now + job.timeout)
        return batch

    def follow_run(
        self, slot: Slot, items: int, now: float
    ) -> tuple[list[Batch], Batch | None] | None:
        """Take in that a worker has answered its next `items` items, and fill its window again.

        For programs to which requests are sent ahead, as `follow` for those that have one.

        Returns:
            the items that are answered, and those that the caller must send, if it has so few left
            that it is given more; None if nothing is queued, or this is not the usual case.
        """
        if not self._is_usual_run(slot, items, now):
            return None
        fleet, queue = self.fleet, self.queue
        first = queue.line[0]
        left = slot.load - items
        window = fleet.window(slot, first.job.window)
        room = window - left
        following = None
        if left * 2 <= window:
            if first.hi - first.lo < room or queue.items < room * fleet.counts[BUSY]:
                return None  # what is left is to be shared out
            following = queue.take(room)
        if fleet.policy.paced:
            fleet.learn(items, now - slot.since)
        ended = self.flight.take(slot, items)
        slot.load = left
        slot.handled += items
        self.finished += items
        for batch in ended:
            if not batch.job.number:
                self.singles += 1
        fleet.running -= items
        if following is not None:
            following.job.begun = True
            following.sent_at = now
            following.attempts += 1
            slot.inflight.append(following)
            slot.load = window
            fleet.running += room
            fleet.prefetching[slot.id] = slot
        self.assignment.begin_item(slot, now)
        return ended, following

    def _is_usual_run(self, slot: Slot, items: int, now: float) -> bool:
        """Return True if a worker's next items may be answered and followed in one step."""
        fleet, policy = self.fleet, self.fleet.policy
        if slot.state is not BUSY or slot.retiring is not None or slot.load < items:
            return False
        if not self.queue.line or self.assignment.others_first or self.state is not OPEN:
            return False
        if policy.renews or slot.handled < slot.trial or fleet.has_capacity or fleet.idle:
            return False
        if self.queue.is_mixed:  # what it has may be less urgent
            return False
        if policy.paced and now - slot.since >= items * QUICK:
            return False
        for batch in slot.inflight:
            if batch.job.cancelled:
                return False
        return not self.queue.line[0].job.cancelled
