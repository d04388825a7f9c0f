"""Workers lent to threads: one for a call, or a lease of one's own.

A call keeps its worker for the next one: it lies in `warm`, leased as far as the scheduler knows,
until somebody else has need of it. From there it goes to the call's `loan`, a list, and back, each
in a single step: that needs neither lock nor decision, and wherever an interrupt is raised, the
worker is in exactly one of the two.
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
from processpool.errors import PoolClosed
from processpool.system.interrupts import uninterrupted

if TYPE_CHECKING:
    from processpool.engine.local import Engine
    from processpool.engine.workers.worker import Worker

WARM = 1.0
"""Seconds after which workers that are kept for calls go back to the scheduler, to be asked for
again: so they are retired when they are idle, like others."""


class Lending:
    """Lends the workers of one engine, and takes them back."""

    def __init__(self, engine: Engine) -> None:
        self.warm: deque[Worker] = deque()
        """Workers that a call has done with, and the next one takes."""
        self.lost: deque[list[Worker]] = deque()
        """Loans of calls that were interrupted: their workers are to be ended."""
        self.wants_idle = False
        """True if a call must not keep its worker for the next one."""
        self._engine = engine
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
            if loan[0].is_quiet() or self._is_still_fit(loan):
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
        if self._engine.lock.is_mine:
            return
        if not self._reclaim_planned:
            self._reclaim_planned = True
            self._engine.loop.post(partial(self._engine.loop.later, WARM, self._reclaim_in_turn))
        while True:
            with self._engine.lock:
                slot = self._engine.scheduler.take(monotonic())
                if slot is None:
                    return
                worker = self._engine.workers[slot.id]
                worker.borrowed = True
                self._engine.hands.unwatch(worker)
            if self._is_fit(worker):
                loan.append(worker)
                return

    def keep(self, loan: list[Worker]) -> None:
        """A call has done with its worker: the next one takes it, unless others have need of it."""
        worker = loan[0]
        self.warm.extend(islice(iter(loan.pop, None), 1))
        if self.wants_idle or worker.process.exitcode is not None:
            self.reclaim()

    @uninterrupted
    def end(self, loan: list[Worker], exit_reason: ExitReason, handled: int = 0) -> None:
        """A call's worker cannot be used again, if it has one."""
        if loan:
            self.discard(loan.pop(), exit_reason, handled)

    @uninterrupted
    def end_lost(self) -> None:
        """End the workers of calls that were interrupted."""
        while self.lost:
            with suppress(IndexError):
                self.end(self.lost.pop(), ExitReason.INTERRUPTED)

    @uninterrupted
    def reclaim(self) -> None:
        """Give the workers that are kept for calls back to the scheduler."""
        self.end_lost()
        if self._engine.lock.is_mine:
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
        self._engine.lock.require_free()
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            worker = self._lease_once(None if deadline is None else deadline - monotonic())
            if worker is None or self._is_fit(worker):
                return worker

    def _lease_once(self, timeout: float | None) -> Worker | None:
        waiter = LeaseWaiter()
        try:
            can_grow = self._line_up(waiter)
            if timeout is not None and timeout <= 0 and can_grow:  # to start one is no waiting
                timeout = self._engine.scheduler.policy.start
            self._engine.lock.wait_for(
                lambda: waiter.granted is not None or waiter.pool_state is not None, timeout
            )
        except BaseException:
            if self._give_up(waiter) and waiter.granted is not None:
                self.discard(self._engine.workers[waiter.granted], ExitReason.LEASE_INTERRUPTED)
            raise
        if waiter.pool_state is not None:
            raise self._engine.state_error() or PoolClosed("the pool was closed")
        if waiter.granted is None and not self._give_up(waiter):
            return None
        assert waiter.granted is not None
        return self._engine.workers[waiter.granted]

    def _line_up(self, waiter: LeaseWaiter) -> bool:
        """Join the line for a worker; True if the pool may start another one."""
        with self._engine.lock:
            error = self._engine.state_error()
            if error is not None:
                raise error
            commands = self._engine.scheduler.lease(waiter, monotonic())
            can_grow = self._engine.scheduler.alive < self._engine.scheduler.policy.max
            self._engine.hands.enqueue(commands)
        self._engine.hands.carry_out(commands)
        self.reclaim()
        return can_grow

    def _give_up(self, waiter: LeaseWaiter) -> bool:
        """Leave the line; True if a worker was granted in the last moment."""
        with self._engine.lock:
            if self._engine.scheduler.abandon(waiter):
                return False
        return True

    @uninterrupted
    def give_back(self, worker: Worker, handled: int = 0) -> None:
        """A borrowed or leased worker is free again."""
        if self._engine.postpones(partial(self.give_back, worker, handled)):
            return
        with self._engine.lock:
            worker.borrowed = worker.leased = False
            handled, failed = handled + worker.calls, worker.failed_calls
            worker.calls = worker.failed_calls = 0
            commands = self._engine.scheduler.release(worker.id, handled, monotonic(), failed)
            self._engine.hands.enqueue(commands)
            unheard, worker.unheard = worker.unheard, False
        self._engine.hands.carry_out(commands)
        if self._engine.scheduler.policy.recycle_memory is not None:
            self._engine.loop.post(partial(self._engine.reader.weigh, worker))
        if worker.freed_shares:
            self._engine.loop.post(partial(self._engine.hands.write, worker))
        if unheard:
            self._engine.loop.post(partial(self._engine.reader.on_stderr, worker))
        if worker.process.exitcode is not None:
            self._engine.undertaker.bury_later(worker)

    @uninterrupted
    def discard(self, worker: Worker, exit_reason: ExitReason, handled: int = 0) -> None:
        """A borrowed or leased worker cannot be used again: it is replaced."""
        if self._engine.postpones(partial(self.discard, worker, exit_reason, handled)):
            return
        with self._engine.lock:
            worker.borrowed = worker.leased = False
            handled, failed = handled + worker.calls, worker.failed_calls
            worker.calls = worker.failed_calls = 0
            commands = self._engine.scheduler.kill(worker.id, exit_reason, handled, failed)
        self._engine.hands.carry_out(commands)
        self._engine.undertaker.bury_later(worker)

    def exit_reason_of(self, worker: Worker) -> ExitReason | None:
        """Why the pool is ending this worker, if it is."""
        with self._engine.lock:
            slot = self._engine.scheduler.slots.get(worker.id)
            return None if slot is None else slot.exit_reason

    def _is_fit(self, worker: Worker) -> bool:
        """False if a free worker wrote unasked or has ended; it is replaced then."""
        with worker.io:
            stray = worker.stray_output()
            leaving = worker.is_leaving()
        if not (stray or leaving or worker.ended) and worker.process.exitcode is None:
            return True
        if stray:
            self._engine.news.report_stray(worker, stray)
        self.discard(worker, ExitReason.WROTE_UNASKED if stray else ExitReason.ENDED)
        return False
