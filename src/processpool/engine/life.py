"""Opening and closing of an engine, and disowning it in forked children."""

from __future__ import annotations

import errno
import signal
import weakref
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core import events
from processpool.core.commands import Command, Drop
from processpool.core.exits import TERM_GRACE
from processpool.core.states import PoolEvent, PoolState, WorkerState
from processpool.engine import at_exit
from processpool.engine.keeper import Keeper
from processpool.engine.lead import Lead
from processpool.engine.lock import EngineLock
from processpool.errors import WorkerStartFailed
from processpool.system import platform
from processpool.system.epoll_loop import Loop
from processpool.system.guard import Guard
from processpool.system.interrupts import uninterrupted
from processpool.system.monitor import sleep_until

if TYPE_CHECKING:
    from processpool.engine.callback_threads import CallbackThreads
    from processpool.engine.checkout import Checkout
    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.event_hub import EventHub
    from processpool.engine.spawner import Spawner

LENT_GRACE = 0.2
"""The seconds for threads to notice that the worker of their `call` has ended."""

_live: weakref.WeakSet[Life] = weakref.WeakSet()


class Life:
    """Opens and closes an engine."""

    def __init__(
        self,
        core: Core,
        callbacks: CallbackThreads,
        hub: EventHub,
        dispatcher: Dispatcher,
        checkout: Checkout,
        spawner: Spawner,
    ) -> None:
        self._core = core
        self._callbacks = callbacks
        self._hub = hub
        self._dispatcher = dispatcher
        self._checkout = checkout
        self._spawner = spawner
        self._closed = False
        """True once everything is released."""

    def open(self, wanted: int, grace: float) -> None:
        """Open the engine, and wait until `wanted` workers are ready; on failure, leave nothing.

        Raises:
            WorkerStartFailed: no worker could be started.
            OSError: the system has no descriptor, process or thread left.
        """
        try:
            self._open(wanted, grace)
        except BaseException:
            self.kill()
            raise
        self._core.announces_failures = True
        self._hub.publish(events.PoolOpened(monotonic()))

    @uninterrupted
    def _open(self, wanted: int, grace: float) -> None:
        self._start()
        at_exit.close(self, self._core.name, grace)
        self.wait_ready(wanted, None)

    def _start(self) -> None:
        """Start the keeper, which starts the first workers."""
        trouble = platform.missing()
        if trouble is not None:
            raise WorkerStartFailed(trouble)
        core = self._core
        core.keeper = keeper = Keeper(core, self._spawner, self._finish)
        with ExitStack() as undo:
            core.loop = self._callbacks.loop = Loop()
            undo.callback(core.loop.close)
            core.lead = Lead(core.loop, keeper.turn, lambda: core.scheduler.queued > 0)
            undo.callback(core.lead.close)
            self._spawner.guard = Guard()
            undo.callback(self._spawner.guard.close)
            core.is_open = True
            core.scheduler.change(PoolEvent.OPENING)
            _live.add(self)
            try:
                keeper.start()
            except RuntimeError as error:
                core.is_open = False
                core.scheduler.change(PoolEvent.LEFT_UNOPENED)
                _live.discard(self)
                raise OSError(errno.EAGAIN, "no thread is left") from error
            undo.pop_all()

    def wait_ready(self, wanted: int, timeout: float | None) -> bool:
        """Wait until `wanted` workers are ready; return False on timeout.

        Raises:
            WorkerStartFailed: no worker is ready or being started any more.
        """
        core, scheduler = self._core, self._core.scheduler

        def settled() -> bool:
            starting = scheduler.counts[WorkerState.STARTING]
            ready = scheduler.alive - starting
            if ready >= wanted:
                return True
            error = core.state_error()
            if error is None and not ready and not starting:
                error = core.start_error
            if error is not None:
                raise core.start_error or error
            return False

        return core.lock.wait_for(settled, timeout)

    def drain(self, timeout: float | None) -> bool:
        """Wait until no item is queued or running; return False on timeout."""
        core = self._core
        return core.lock.wait_for(
            lambda: core.is_forked or self._closed or not core.scheduler.has_work, timeout
        )

    def begin_close(self, grace: float | None = None) -> bool:
        """Reject new work; return False in a fork, or if it was never opened."""
        core = self._core
        if not core.is_alive:
            return False
        deadline = None if grace is None else monotonic() + grace

        def close(now: float) -> list[Command]:
            ended = core.scheduler.state is PoolState.CLOSED
            return [] if ended else core.scheduler.close(deadline, now)

        core.decide(close)
        self._checkout.reclaim()
        core.loop.wake()
        return True

    def close(self, grace: float | None, *, wait: bool = True) -> None:
        """Reject new work, and close when all items have ended, or after `grace` seconds.

        With `wait=False`, another thread does that, and no lock is taken.
        """
        if wait:
            self._close(grace)
        else:
            self._core.post(partial(self.begin_close, grace))

    @uninterrupted
    def _close(self, grace: float | None) -> None:
        core = self._core
        if core.postpones(partial(self.begin_close, grace)):
            return
        if self.begin_close(grace) and not core.is_current:
            try:
                core.lock.wait_for(lambda: self._closed or self._checkout.is_all_that_is_left)
            except BaseException:  # interrupted: kill the workers
                core.decide(lambda _: core.scheduler.kill_all())
                core.lock.wait_for(lambda: self._closed, TERM_GRACE)
                raise
            if core.lock.wait_for(lambda: self._closed, LENT_GRACE):
                core.keeper.join()
                self._callbacks.join()

    def kill(self, *, wait: bool = True) -> None:
        """Kill all workers and close at once; `wait` as for `close`."""
        if wait:
            self._kill()
        else:
            self._core.post(self._kill)

    @uninterrupted
    def _kill(self) -> None:
        core = self._core
        if core.is_alive and not core.postpones(self._kill):
            core.decide(lambda _: core.scheduler.kill_all())
            self._close(0)

    @property
    def unfinished(self) -> int:
        """The number of queued and running items."""
        return self._core.scheduler.queued + self._core.scheduler.running

    def _finish(self) -> None:
        """Release everything: processes, descriptors, waiting threads."""
        core = self._core
        core.lead.end()
        for worker in [*core.workers.values(), *self._spawner.launched]:
            worker.process.signal_group(signal.SIGKILL)
        with core.lock:
            commands = core.scheduler.kill_all()
            core.scheduler.change(PoolEvent.CLOSED)
            core.lock.notify_all()
        for command in commands:
            if type(command) is Drop:
                self._dispatcher.drop(command.batch, PoolState.CLOSED)
        for slot in core.scheduler.slots.values():  # there are none, unless a turn has raised
            for batch in slot.inflight:
                self._dispatcher.drop(batch, PoolState.CLOSED)
        self._spawner.guard.close()
        core.lead.close()
        core.loop.close()
        _live.discard(self)
        self._hub.publish(events.PoolClosedDown(monotonic()))
        self._callbacks.finish()
        with core.lock:
            self._closed = True
            core.lock.notify_all()

    def disown(self) -> None:
        """In a forked child: mark the pool as FORKED, and close this process's descriptors."""
        core = self._core
        core.scheduler.change(PoolEvent.FORKED)
        self._checkout.warm.clear()
        core.lock = EngineLock(sleep_until, core.room)
        self._hub.forget()
        self._spawner.guard.disown()
        core.lead.close()
        core.loop.close()
        for worker in core.workers.values():
            worker.process.close()


def _after_fork() -> None:
    for life in list(_live):
        life.disown()
    _live.clear()


platform.in_forks(_after_fork)
