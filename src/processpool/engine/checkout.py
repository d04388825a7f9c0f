"""Workers lent to threads: one for a call, or a lease of one's own.

A call leaves its worker for the next one: it lies in `warm`, leased as far as the scheduler knows,
until somebody else needs it. From there it moves to the call's `loan`, a list, and back, each in a
single step: this needs neither lock nor decision, and wherever an interrupt is raised, the worker
is in exactly one of the two.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import partial
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core.commands import LeaseWaiter
from processpool.core.exit_reason import ExitReason
from processpool.core.states import PoolState
from processpool.engine.weighing import weigh
from processpool.engine.workers.owner import Owner, OwnerEvent
from processpool.errors import PoolClosed
from processpool.system.interrupts import uninterrupted

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.event_hub import EventHub
    from processpool.engine.reaper import Reaper
    from processpool.engine.receiver import Receiver
    from processpool.engine.workers.worker import Worker

CALL, WARM = Owner.CALL, Owner.WARM
KEPT_WARM = 1.0
"""Seconds after which workers that are kept for calls go back to the scheduler, to be asked for
again: so they are retired when they are idle, like others."""


class Checkout:
    """Lends the workers of one engine, and takes them back."""

    def __init__(
        self, core: Core, dispatcher: Dispatcher, receiver: Receiver, reaper: Reaper, hub: EventHub
    ) -> None:
        self.warm: deque[Worker] = deque()
        """Workers that a call has finished with, and the next one takes."""
        self.lost: deque[list[Worker]] = deque()
        """Loans of calls that were interrupted: their workers are to be ended."""
        self.hangs = dispatcher.hangs
        self._core = core
        self._dispatcher = dispatcher
        self.hangs = dispatcher.hangs
        self._receiver = receiver
        self._reaper = reaper
        self._hub = hub
        reaper.reclaim = self.reclaim
        self._reclaim_planned = False
        self._pop_warm = iter(self.warm.pop, None)

    # -- for a call ------------------------------------------------------------------------------

    def borrow(self, loan: list[Worker]) -> None:
        """Put an idle worker into `loan`, if there is one; it must be kept, or ended."""
        while True:
            try:
                loan.extend(islice(self._pop_warm, 1))
            except IndexError:
                self._borrow_from_scheduler(loan)
                return
            loan[0].owner.state = CALL  # by its table: it is borrowed
            if loan[0].channel.is_quiet() or self._is_still_fit(loan):
                return

    @uninterrupted
    def _is_still_fit(self, loan: list[Worker]) -> bool:
        """As `_is_fit`; a worker that is not is gone from the loan."""
        worker = loan.pop()
        fit = self._is_fit(worker)
        if fit:
            loan.append(worker)
        return fit

    @uninterrupted
    def _borrow_from_scheduler(self, loan: list[Worker]) -> None:
        if not self._core.is_alive or self._core.lock.is_mine:
            return
        while True:
            with self._core.lock:
                slot = self._core.scheduler.take(monotonic())
                if slot is None:
                    return
                worker = self._core.workers[slot.id]
                worker.owner.on(OwnerEvent.BORROWED)
                self._dispatcher.unwatch(worker)
            if self._is_fit(worker):
                loan.append(worker)
                return

    def keep(self, loan: list[Worker]) -> None:
        """Keep a call's worker for the next call, unless somebody else needs it."""
        worker = loan[0]
        worker.owner.state = WARM  # by its table: it is kept
        self.warm.extend(islice(iter(loan.pop, None), 1))
        if self._core.wants_idle or worker.process.exitcode is not None:
            self.reclaim()
        elif not self._reclaim_planned:
            self._core.post(partial(self._core.loop.later, KEPT_WARM, self._reclaim_in_turn))
            self._reclaim_planned = True  # last, so that no interrupt leaves it true for nothing

    @uninterrupted
    def end(self, loan: list[Worker], exit_reason: ExitReason, handled: int = 0) -> None:
        """A call's worker cannot be used again, if it has one."""
        if loan:
            self.discard(loan.pop(), exit_reason, handled)

    @uninterrupted
    def retire(self, loan: list[Worker]) -> None:
        """A call's worker is to be replaced, in good order."""
        worker = loan.pop()
        decision = partial(self._core.scheduler.retire, worker.id, ExitReason.RETIRED)
        self._core.decide(decision)
        self.give_back(worker)

    @uninterrupted
    def end_lost(self) -> None:
        """End the workers of calls that were interrupted."""
        while self.lost:
            with suppress(IndexError):
                self.end(self.lost.pop(), ExitReason.INTERRUPTED)

    @property
    def is_all_that_is_left(self) -> bool:
        """True if no process is left, but threads that had one for a call have not seen it yet.

        One of them may be this thread, in a signal's handler: it is not to wait for itself.
        """
        scheduler, workers = self._core.scheduler, self._core.workers
        if scheduler.state is not PoolState.CLOSING or scheduler.has_work:
            return False
        dead = {n for n, w in workers.items() if w.process.exitcode is not None}
        lent = {n for n in dead if workers[n].owner.state in (CALL, WARM)}
        return bool(lent) and lent >= scheduler.slots.keys()

    def yield_to_others(self) -> None:
        """Others wait for a worker: calls keep none."""
        if self.warm or self.lost:
            self.reclaim()

    @uninterrupted
    def reclaim(self) -> None:
        """Give the workers that are kept for calls back to the scheduler."""
        self.end_lost()
        if self._core.lock.is_mine:
            return
        while self.warm:
            with suppress(IndexError):
                worker = self.warm.pop()
                self.give_back(worker)

    def _reclaim_in_turn(self) -> None:
        self._reclaim_planned = False
        self.reclaim()

    # -- for a lease -----------------------------------------------------------------------------

    @uninterrupted
    def lease(self, timeout: float | None) -> Worker | None:
        """A worker for the calling thread, waiting up to `timeout` seconds for one; None if none.

        Raises:
            PoolClosed, PoolBroken: the pool takes no work.
        """
        self._core.lock.require_free()
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            waiter = self._await_grant(None if deadline is None else deadline - monotonic())
            if waiter is None:
                return None
            worker = self._granted(waiter)
            if worker is not None and self._is_fit(worker):
                return worker

    def _await_grant(self, timeout: float | None) -> LeaseWaiter | None:
        """Wait in the line until a worker is granted; None if the time is over."""
        waiter = LeaseWaiter()
        try:
            can_grow = self._line_up(waiter)
            if timeout is not None and timeout <= 0 and can_grow:  # to start one is no waiting
                timeout = self._core.scheduler.policy.start
            self._core.lock.wait_for(
                lambda: waiter.granted is not None or waiter.pool_state is not None, timeout
            )
        except BaseException:
            if self._give_up(waiter):
                worker = self._granted(waiter)
                if worker is not None:
                    self.discard(worker, ExitReason.LEASE_INTERRUPTED)
            raise
        if waiter.pool_state is not None:
            raise self._core.state_error() or PoolClosed("the pool was closed")
        if waiter.granted is None and not self._give_up(waiter):
            return None
        return waiter

    def _granted(self, waiter: LeaseWaiter) -> Worker | None:
        """The worker that was granted; None if it has ended before this thread came to take it."""
        assert waiter.granted is not None
        with self._core.lock:
            return self._core.workers.get(waiter.granted)

    def _line_up(self, waiter: LeaseWaiter) -> bool:
        """Join the line for a worker; True if the pool may start another one."""
        with self._core.lock:
            error = self._core.state_error()
            if error is not None:
                raise error
            commands = self._core.scheduler.lease(waiter, monotonic())
            can_grow = self._core.scheduler.alive < self._core.scheduler.policy.max
            self._dispatcher.stage(commands)
        self._dispatcher.execute(commands)
        self.reclaim()
        return can_grow

    def _give_up(self, waiter: LeaseWaiter) -> bool:
        """Leave the line; True if a worker was granted in the last moment."""
        with self._core.lock:
            if self._core.scheduler.abandon(waiter):
                return False
        return True

    @uninterrupted
    def give_back(self, worker: Worker, handled: int = 0) -> None:
        """A borrowed or leased worker is free again."""
        if self._core.postpones(partial(self.give_back, worker, handled)):
            return
        with self._core.lock:
            worker.owner.on(OwnerEvent.RETURNED)
            handled, failed = handled + worker.calls, worker.failed_calls
            worker.calls = worker.failed_calls = 0
            commands = self._core.scheduler.release(worker.id, handled, monotonic(), failed)
            self._dispatcher.stage(commands)
            unheard = worker.attribution.is_unheard
            worker.attribution.is_unheard = False
        self._dispatcher.execute(commands)
        if self._core.scheduler.policy.recycle_memory is not None:
            self._core.loop.post(partial(weigh, self._core, worker))
        if worker.freed_shares:
            self._core.loop.post(partial(self._dispatcher.write, worker))
        if unheard:
            self._core.loop.post(partial(self._receiver.on_stderr, worker))
        if worker.process.exitcode is not None:
            self._reaper.reap_later(worker)

    @uninterrupted
    def discard(self, worker: Worker, exit_reason: ExitReason, handled: int = 0) -> None:
        """A borrowed or leased worker cannot be used again: it is replaced."""
        if self._core.postpones(partial(self.discard, worker, exit_reason, handled)):
            return
        with self._core.lock:
            worker.owner.on(OwnerEvent.RETURNED)
            handled, failed = handled + worker.calls, worker.failed_calls
            worker.calls = worker.failed_calls = 0
            scheduler = self._core.scheduler
            commands = scheduler.kill(worker.id, exit_reason, monotonic(), handled, failed)
            self._dispatcher.stage(commands)
        self._dispatcher.execute(commands)
        self._reaper.reap_later(worker)

    def exit_reason_of(self, worker: Worker) -> ExitReason | None:
        """Why the pool is ending this worker, if it is."""
        with self._core.lock:
            slot = self._core.scheduler.slots.get(worker.id)
            return None if slot is None else slot.exit_reason

    def _is_fit(self, worker: Worker) -> bool:
        """False if a free worker wrote unasked, reads no more or has ended; it is replaced then."""
        with worker.io:
            unsolicited = worker.unsolicited_output()
            leaving = worker.channel.nobody_reads or worker.protocol.is_leaving()
        if not (unsolicited or leaving or worker.has_ended) and worker.process.exitcode is None:
            return True
        if unsolicited:
            self._hub.report_unsolicited(worker, unsolicited)
        self.discard(worker, _why_unfit(worker, unsolicited))
        return False


def _why_unfit(worker: Worker, unsolicited: bytes) -> ExitReason:
    if unsolicited:
        return ExitReason.WROTE_UNASKED
    lives_on = worker.process.exitcode is None and not worker.has_ended
    return ExitReason.CLOSED_STDIN if lives_on and worker.channel.nobody_reads else ExitReason.ENDED
