"""The scheduler: what happened goes in, with the time; what is to be done comes out.

It has no process, descriptor, clock or lock, and calls nobody: whoever calls it holds the pool's
lock, and executes the commands after releasing it.

    submit ─▶ queue ─▶ assignment ─▶ flight ─▶ answered ─▶ done
                           ▲                      │
                           └──── idle, or room ◀──┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.commands import Command, Lost
from processpool.core.exit_reason import ExitReason
from processpool.core.lending import Lending
from processpool.core.states import PoolEvent, PoolState, WorkerEvent, WorkerState

if TYPE_CHECKING:
    from processpool.core.jobs import Batch, Job
    from processpool.core.slot import Slot


class Scheduler(Lending):
    """The decisions of one pool. Every event takes the time it needs, and returns commands."""

    # -- work ------------------------------------------------------------------------------------

    def submit(self, batch: Batch, now: float) -> list[Command]:
        """Take items in."""
        self.queue.append(batch)
        return self._assign(now)

    def answered(self, worker: int, items: int, now: float, failed: int = 0) -> list[Command]:
        """Note that a worker has answered its next `items` items; `Done` for each batch of them."""
        slot = self.slots[worker]
        memory = self.policy.memory is not None
        if (self.policy.paced or memory) and items:
            self.fleet.learn(items, now - slot.since)
        items = min(items, slot.load)
        if memory:
            self.assignment.budget.ended(slot, items)
        slot.handled += items
        self.finished += items
        self.fleet.relieve(slot, items)
        done = list(self.flight.answered(slot, items))
        self.count(slot, [each.batch for each in done], failed)
        out: list[Command] = [*done]
        if slot.state is not WorkerState.BUSY:
            return out
        if not slot.inflight:
            return out + self._finished(slot, now)
        if slot.inflight[0].job.killed:
            return out + self.exits.end(slot, ExitReason.CANCELLED) + self._assign(now)
        self.assignment.begin_item(slot, now)
        self.assignment.note_capacity(slot)
        return out + self._assign(now)

    def given_back(
        self, worker: int, now: float, *, keep: int = 0, singly: bool = False
    ) -> list[Command]:
        """Put back the rest of a worker's first batch, which it has not begun and will not.

        Args:
            worker: its number.
            now: the time.
            keep: items of the batch that it has begun.
            singly: it could not even read the batch, so the items go one by one.
        """
        slot = self.slots[worker]
        if not slot.inflight:
            return []
        self.flight.give_back(slot, keep, singly=singly)
        return self._relieved(slot, now)

    def taken_back(self, worker: int, batches: list[Batch], now: float) -> list[Command]:
        """Put back batches that were taken from a worker, which had not begun them."""
        slot = self.slots.get(worker)
        if slot is None:  # it has died meanwhile, and they were taken back with everything else
            return []
        self.flight.take_back(slot, batches)
        return self._relieved(slot, now)

    def cancel(self, job: Job, now: float, *, kill: bool) -> list[Command]:
        """Start nothing more of this job; with `kill`, replace the workers that run it."""
        if job.is_errand:
            self.assignment.errands.forget(job)
        out = self.flight.cancel(job, self.state, kill=kill)
        return out + self._assign(now) if kill else out

    def passed_on(self, batch: Batch, now: float) -> list[Command]:
        """Put an item that has asked for another worker in front; it counts as no attempt."""
        self.finished -= 1
        self.singles -= not batch.job.number
        self.queue.take_back([batch])
        return self._assign(now)

    def retry(self, batch: Batch, reason: str, now: float) -> bool:
        """Return True if an item that failed by crash, timeout or error will be tried again."""
        again = self.flight.retry(batch, reason, now)
        self.singles -= again and not batch.job.number
        return again

    # -- workers ---------------------------------------------------------------------------------

    def spawn(self, now: float) -> list[Command]:
        """Start one more worker, if one is wanted and its time has come."""
        return [*self.growth.spawn(self.state, now)]

    def ready(self, worker: int, now: float, *, proven: bool = False) -> list[Command]:
        """Note that a worker has started and takes requests; has it said that it speaks them?"""
        slot = self.slots[worker]
        if proven:
            slot.trial = 0
        if slot.state is not WorkerState.STARTING:
            return []
        self.growth.restarts.succeeded()
        if self.state is PoolState.BROKEN:
            self.change(PoolEvent.MENDED)
        self.fleet.move(slot, WorkerEvent.READY)
        out = self.retirement.park(slot, now)
        if self.fleet.expiring:
            out += self.retirement.replace_expiring(slot, now)
        return out + self._assign(now)

    def ended(self, worker: int) -> list[Command]:
        """Give a worker nothing more: its process is gone, its last answers are still to come."""
        slot = self.slots[worker]
        if slot.state in (WorkerState.IDLE, WorkerState.BUSY):
            self.exits.lost(slot)
        return []

    def exited(
        self,
        worker: int,
        now: float,
        *,
        failed_start: bool = False,
        killed: bool = False,
        begun: bool = True,
        singly: bool = False,
    ) -> list[Command]:
        """Remove a worker that is gone; what it had not begun goes back to the queue.

        Args:
            worker: its number.
            now: the time.
            failed_start: it was never of any use, so the next one starts later.
            killed: somebody has killed it, which may be chance.
            begun: it may have begun the first of its items.
            singly: its first batch killed it before any item of that began.
        """
        slot = self.fleet.remove(worker)
        dropped = self._drop_errands(slot, begun=begun)
        given_up = self.flight.give_up(slot, now, begun=begun, singly=singly)
        lost = [command.batch for command in given_up if type(command) is Lost]
        self.count(slot, lost, len(lost))
        out: list[Command] = [*given_up, *dropped]
        self.assignment.budget.gone(slot)
        if self.overdue:
            out += self._drop_queue()
        if failed_start and self.growth.breaks(now, killed=killed):
            out += self._break()
        return out + self._assign(now)

    def retire(self, worker: int, reason: ExitReason, now: float) -> list[Command]:
        """Let one worker finish what it has, then ask it to exit; nothing new goes to it."""
        slot = self.slots.get(worker)
        return [] if slot is None else self.retirement.retire(slot, reason, now) + self._assign(now)

    def expire(self, worker: int, now: float) -> list[Command]:
        """Replace a worker that has grown too large, as soon as its replacement is ready."""
        slot = self.slots.get(worker)
        out = [] if slot is None else self.retirement.expire(slot, now)
        return out + self._assign(now)

    def kill(
        self, worker: int, reason: ExitReason, now: float, handled: int = 0, failed: int = 0
    ) -> list[Command]:
        """End a worker at once, for this reason; the item that it has is lost.

        It does not count against `max` any more, so an idle one may have its turn before it is
        gone.
        """
        slot = self._count_by_hand(worker, handled, failed)
        return [] if slot is None else self.exits.end(slot, reason) + self._assign(now)

    # -- the clock ---------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Command]:
        """Do what is due: to be called at the time that `next_deadline` says."""
        out: list[Command] = []
        for slot in self.deadlines.pop_due(now):
            out += self._expired(slot, now)
        if self.close_deadline is not None and self.close_deadline <= now:
            self.close_deadline = None
            self.overdue = True
            out += self._drop_queue()
            for slot in self.slots.values():
                out += self.exits.hurry(slot, ExitReason.CLOSED, now)
        self.queue.wake(now)
        return out + self._assign(now)

    # -- inside ----------------------------------------------------------------------------------

    def _finished(self, slot: Slot, now: float) -> list[Command]:
        """A worker has nothing to do any more."""
        self.fleet.move(slot, WorkerEvent.FINISHED)
        return self.retirement.park(slot, now) + self._assign(now)

    def _relieved(self, slot: Slot, now: float) -> list[Command]:
        """A worker has fewer items, without having answered them."""
        if slot.inflight or slot.state is not WorkerState.BUSY:
            return self._assign(now)
        return self._finished(slot, now)

    def _expired(self, slot: Slot, now: float) -> list[Command]:
        """The time of a worker is over; what for, its state says."""
        match slot.state:
            case WorkerState.STARTING:
                self.growth.restarts.hold(self.policy, now)
                return self.exits.end(slot, ExitReason.START_TIMEOUT)
            case WorkerState.BUSY if self.policy.dumps_stacks:
                return self.exits.dump(slot, ExitReason.TIMEOUT, now)
            case WorkerState.BUSY:
                return self.exits.end(slot, ExitReason.TIMEOUT)
            case WorkerState.IDLE:
                return self.retirement.idle_too_long(slot, now)
            case _:
                return self.exits.overdue(slot, now)
