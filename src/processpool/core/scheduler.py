"""The scheduler: what happened goes in, with the time; what is to be done comes out.

No process, no descriptor, no clock, no lock, and it calls nobody: whoever calls holds the pool's
lock, and carries out the commands after letting go of it.

    submit ─▶ queue ─▶ assignment ─▶ flight ─▶ answered ─▶ done
                           ▲                      │
                           └──── idle, or room ◀──┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.commands import Command, LeaseWaiter, Lost
from processpool.core.exit_reason import ExitReason
from processpool.core.short_way import ShortWay
from processpool.core.states import PoolEvent, PoolState, WorkerEvent, WorkerState

if TYPE_CHECKING:
    from processpool.core.jobs import Batch, Job
    from processpool.core.slot import Slot


class Scheduler(ShortWay):
    """The decisions of one pool. Every event takes the time it needs, and returns commands."""

    # -- work ------------------------------------------------------------------------------------

    def submit(self, batch: Batch, now: float) -> list[Command]:
        """Items have come in."""
        self.queue.append(batch)
        return self._assign(now)

    def answered(self, worker: int, items: int, now: float, failed: int = 0) -> list[Command]:
        """The worker has answered its next `items` items: `Done` for each batch they make up."""
        slot = self.slots[worker]
        slot.failed += failed
        self.failures += failed
        items = min(items, slot.load)
        slot.handled += items
        self.finished += items
        self.fleet.relieve(slot, items)
        out: list[Command] = [*self.flight.answered(slot, items)]
        if slot.state is not WorkerState.BUSY:
            return out
        if not slot.inflight:
            return out + self._finished(slot, now)
        if slot.inflight[0].job.killed:
            return out + self.exits.end(slot, ExitReason.CANCELLED)
        self.assignment.begin_item(slot, now)
        self.assignment.note_capacity(slot)
        return out + self._assign(now)

    def given_back(
        self, worker: int, now: float, *, keep: int = 0, singly: bool = False
    ) -> list[Command]:
        """The worker has not begun the rest of its first batch, and will not.

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
        """These batches were taken from a worker that had not begun them."""
        slot = self.slots.get(worker)
        if slot is None:  # it has died meanwhile, and they were taken back with everything else
            return []
        self.flight.take_back(slot, batches)
        return self._relieved(slot, now)

    def cancel(self, job: Job, *, kill: bool) -> list[Command]:
        """Nothing more of this job starts; with `kill`, the workers that run it are replaced."""
        return self.flight.cancel(job, self.state, kill=kill)

    def sent(self, worker: int, batch: Batch, now: float) -> list[Command]:
        """It took a while to write this batch to the worker: its time begins only now."""
        slot = self.slots.get(worker)
        if slot is not None and slot.state is WorkerState.BUSY and slot.inflight[0] is batch:
            batch.sent_at = now
            self.assignment.begin_item(slot, now)
        return []

    def retry(self, batch: Batch, reason: str, now: float) -> bool:
        """An item failed, by crash, timeout or error; True if it will be tried again."""
        return self.flight.retry(batch, reason, now)

    # -- workers for those who drive them by hand --------------------------------------------------

    def take(self, now: float) -> Slot | None:
        """An idle worker for one `call`, if one is free and nobody waits before it."""
        if self.state is not PoolState.OPEN or self.queue or self.assignment.waiters:
            return None
        return self.fleet.take_idle(now) if self.fleet.has_free_worker else None

    def lease(self, waiter: LeaseWaiter, now: float) -> list[Command]:
        """Somebody wants a worker of their own, and waits for it."""
        self.assignment.waiters.append(waiter)
        return self._assign(now)

    def abandon(self, waiter: LeaseWaiter) -> bool:
        """The waiter gives up; False if a worker was granted before, which must be released."""
        if waiter.granted is not None:
            return False
        if waiter in self.assignment.waiters:
            self.assignment.waiters.remove(waiter)
        return True

    def release(self, worker: int, handled: int, now: float, failed: int = 0) -> list[Command]:
        """A worker that was taken or leased comes back."""
        slot = self._count_by_hand(worker, handled, failed)
        if slot is None or slot.state is not WorkerState.LEASED:  # the pool has ended it meanwhile
            return []
        self.fleet.move(slot, WorkerEvent.RELEASED)
        wanted = self.assignment.waiters or self.queue
        if len(self.fleet.idle) >= self.policy.spare and not wanted:
            return self.exits.ask(slot, ExitReason.IDLE, now)
        return self.retirement.park(slot, now) + self._assign(now)

    # -- workers ---------------------------------------------------------------------------------

    def spawn(self, now: float) -> list[Command]:
        """One more worker is to be started, if one is wanted and its time has come."""
        return [*self.growth.spawn(self.state, now)]

    def ready(self, worker: int, now: float) -> list[Command]:
        """A worker has started and takes requests."""
        slot = self.slots[worker]
        if slot.state is not WorkerState.STARTING:
            return []
        self.growth.restarts.succeeded()
        if self.state is PoolState.BROKEN:
            self.change(PoolEvent.MENDED)
        self.fleet.move(slot, WorkerEvent.READY)
        out = self.retirement.park(slot, now)
        if self.fleet.expiring:
            out += self.retirement.replace_expiring(now)
        return out + self._assign(now)

    def ended(self, worker: int) -> list[Command]:
        """A worker's process is gone, and its last answers are to come: it gets nothing more."""
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
        """A worker is gone. What it had not begun goes back to the queue.

        Args:
            worker: its number.
            now: the time.
            failed_start: it was never of any use: the next one starts later.
            killed: and that is because somebody has killed it, which may be chance.
            begun: it may have begun the first of its items.
            singly: its first batch killed it before any item of that began.
        """
        slot = self.fleet.remove(worker)
        given_up = self.flight.give_up(slot, now, begun=begun, singly=singly)
        self.failures += sum(type(command) is Lost for command in given_up)
        out: list[Command] = [*given_up]
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
        """A worker has grown too large: it is replaced as soon as its successor is ready."""
        slot = self.slots.get(worker)
        if slot is not None:
            self.retirement.mark_expiring(slot)
        return self._assign(now)

    def kill(
        self, worker: int, reason: ExitReason, handled: int = 0, failed: int = 0
    ) -> list[Command]:
        """End one worker at once; the item it has is lost, for this reason."""
        slot = self._count_by_hand(worker, handled, failed)
        return [] if slot is None else self.exits.end(slot, reason)

    # -- the clock ---------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Command]:
        """The time has come that `next_deadline` named."""
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

    def _count_by_hand(self, worker: int, handled: int, failed: int) -> Slot | None:
        """A worker that was driven by hand has done this much; the worker, if it is still there."""
        self.finished += handled
        self.failures += failed
        slot = self.slots.get(worker)
        if slot is not None:
            slot.handled += handled
            slot.failed += failed
        return slot

    def _expired(self, slot: Slot, now: float) -> list[Command]:
        """The time of a worker is over; what for, its state says."""
        match slot.state:
            case WorkerState.STARTING:
                self.growth.restarts.hold(self.policy, now)
                return self.exits.end(slot, ExitReason.START_TIMEOUT)
            case WorkerState.BUSY if slot.inflight[0].unsent:
                self.assignment.begin_item(slot, now)
                return []
            case WorkerState.BUSY if self.policy.dumps_stacks:
                return self.exits.dump(slot, ExitReason.TIMEOUT, now)
            case WorkerState.BUSY:
                return self.exits.end(slot, ExitReason.TIMEOUT)
            case WorkerState.IDLE:
                return self.retirement.idle_too_long(slot, now)
            case _:
                return self.exits.overdue(slot, now)
