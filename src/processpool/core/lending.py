"""Decisions about workers that threads drive by hand: for one `call`, or by a lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.exit_reason import ExitReason
from processpool.core.sparing import Sparing
from processpool.core.states import PoolState, WorkerEvent, WorkerState

if TYPE_CHECKING:
    from processpool.core.commands import Command, LeaseWaiter
    from processpool.core.slot import Slot


class Lending(Sparing):
    """The part of the scheduler that lends workers, and takes them back."""

    def take(self, now: float) -> Slot | None:
        """Take an idle worker for one `call`, if one is free and nobody waits for it."""
        if self.state is not PoolState.OPEN or self.queue or self.assignment.others_first:
            return None
        if self.policy.single_use:  # a call has nothing to keep a worker for
            return None
        if self.policy.memory is not None:  # whether there is room for its item, is to be seen
            return None
        return self.fleet.take_idle(now) if self.fleet.has_free_worker else None

    def lease(self, waiter: LeaseWaiter, now: float) -> list[Command]:
        """Put somebody who wants to lease a worker in line."""
        self.assignment.waiters.append(waiter)
        self.assignment.note_others()
        return self._assign(now)

    def abandon(self, waiter: LeaseWaiter) -> bool:
        """Take a waiter out of the line; False if it has a worker already, to be released."""
        if waiter.granted is not None:
            return False
        if waiter in self.assignment.waiters:
            self.assignment.waiters.remove(waiter)
            self.assignment.note_others()
        return True

    def release(self, worker: int, handled: int, now: float, failed: int = 0) -> list[Command]:
        """Take back a worker that was taken or leased."""
        slot = self._count_by_hand(worker, handled, failed)
        if slot is None or slot.state is not WorkerState.LEASED:  # the pool has ended it meanwhile
            return []
        self.fleet.move(slot, WorkerEvent.RELEASED)
        wanted = self.assignment.others_first or self.queue
        if len(self.fleet.idle) >= self.policy.spare and not wanted:
            return self.exits.ask(slot, ExitReason.IDLE, now)
        return self.retirement.park(slot, now) + self._assign(now)

    def _count_by_hand(self, worker: int, handled: int, failed: int) -> Slot | None:
        """A worker that was driven by hand has done this much; the worker, if it is still there."""
        self.finished += handled
        self.singles += handled
        self.failures += failed
        slot = self.slots.get(worker)
        if slot is not None:
            slot.handled += handled
            slot.failed += failed
        return slot
