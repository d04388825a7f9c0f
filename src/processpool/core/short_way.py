"""The decisions that nearly every item needs, each in one step; all else goes the long way.

Each does exactly what the long way would, or decides nothing and returns None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.lifecycle import Lifecycle
from processpool.core.states import PoolState, WorkerEvent, WorkerState

if TYPE_CHECKING:
    from processpool.core.commands import Command
    from processpool.core.jobs import Batch
    from processpool.core.slot import Slot


class ShortWay(Lifecycle):
    """Decisions about single items, where nothing else changes."""

    def begin(self, batch: Batch, now: float) -> Slot | None:
        """Give an item that has come in to an idle worker, if there is one and nothing waits.

        Returns:
            the worker to which the item must be written; None if it must be submitted.
        """
        fleet = self.fleet
        if self.queue.line or self.assignment.waiters or self.state is not PoolState.OPEN:
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
        if (batch.job.window or fleet.policy.window) > 1 and slot.takes_more:
            fleet.has_capacity[number] = slot
        return slot

    def finish(self, slot: Slot, now: float) -> list[Command] | None:
        """Let a worker rest that has answered its only item, if nothing waits.

        Returns:
            what is to be done, mostly nothing; None if this is not the case, and nothing has been
            decided.
        """
        fleet = self.fleet
        if slot.load != 1 or slot.state is not WorkerState.BUSY or slot.inflight[0].job.killed:
            return None
        if self.queue.line or self.assignment.waiters or self.state is not PoolState.OPEN:
            return None
        if fleet.policy.renews or fleet.prefetching or fleet.expiring:
            return None
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
        """Give a worker that has answered its only item the next one of the queue.

        This is `answered` and all that follows from it, for nearly every item of a map.

        Returns:
            the next item, which must be sent; None if none waits or this is not the usual case, and
            nothing has been decided.
        """
        queue, policy = self.queue, self.fleet.policy
        if slot.load != 1 or slot.retiring is not None or not queue.line or self.assignment.waiters:
            return None
        if self.state is not PoolState.OPEN or policy.renews or slot.state is not WorkerState.BUSY:
            return None
        job = queue.first.job
        if job.cancelled or slot.inflight[0].job.killed or (job.window or policy.window) != 1:
            return None
        batch = slot.inflight[0]
        if job.takes_values and len(queue.line) == 1 and batch.step(queue.line[0]):
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
