"""The engine that runs workers on this machine: one epoll, driven by whoever waits.

    caller ──▶ scheduler (decides, under the lock) ──▶ commands (executed, without it)
                   ▲                                        │ write
        leader ────┴── epoll: answers, stderr, deaths, timers ◀── worker processes

Any thread may decide and write; only the thread that leads reads answers of busy workers and
closes descriptors; only the keeper starts processes. The parts, from the bottom up: `core`,
`event_hub`, `dispatcher`, `receiver`, `spawner`, `reaper`, `checkout`, `intake`, `steering`.
"""

from __future__ import annotations

import errno
import os
import signal
import weakref
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core import events
from processpool.core.commands import Command, Drop
from processpool.core.exits import TERM_GRACE
from processpool.core.map_registry import Maps
from processpool.core.states import PoolEvent, PoolState, WorkerState
from processpool.engine import at_exit, direct
from processpool.engine.callback_threads import CallbackThreads
from processpool.engine.checkout import Checkout
from processpool.engine.core import Core
from processpool.engine.dispatcher import Dispatcher
from processpool.engine.event_hub import EventHub
from processpool.engine.intake import Intake
from processpool.engine.keeper import Keeper
from processpool.engine.lead import Lead
from processpool.engine.leased import LocalLease
from processpool.engine.lock import EngineLock
from processpool.engine.observe import take_snapshot
from processpool.engine.reaper import Reaper
from processpool.engine.receiver import Receiver
from processpool.engine.spawner import Spawner
from processpool.engine.steering import Steering
from processpool.errors import WorkerStartFailed
from processpool.system import platform
from processpool.system.epoll_loop import Loop
from processpool.system.guard import Guard
from processpool.system.interrupts import uninterrupted
from processpool.system.monitor import sleep_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from processpool.core.policy import Policy
    from processpool.core.snapshot import PoolSnapshot, WorkerCounts
    from processpool.engine.inheritance import Environ
    from processpool.engine.workers.worker import Worker
    from processpool.wire.python.functions import Request

LENT_GRACE = 0.2
"""Seconds for threads to see that the worker that they have for a call is gone."""

_live: weakref.WeakSet[Engine] = weakref.WeakSet()


class Engine:
    """Runs, feeds and supervises the worker processes of one pool; the local `Backend`."""

    def __init__(
        self,
        policy: Policy,
        launch: Callable[[int, str], Worker],
        environ: Environ,
        command: str,
        max_pending: int,
        name: str,
    ) -> None:
        """Put the parts together; nothing runs yet.

        Args:
            policy: the numbers to work by.
            launch: starts the worker process of a number, with a mark.
            environ: what its workers inherit, read when it opens.
            command: what its workers run, for errors.
            max_pending: items that may wait.
            name: the pool's, for errors.
        """
        self._environ = environ
        self._core = core = Core(policy, command, max_pending, name)
        self._callbacks = CallbackThreads()
        self._hub = hub = EventHub(core, self._callbacks)
        self._dispatcher = dispatcher = Dispatcher(core, hub)
        receiver = Receiver(core, dispatcher, hub)
        self._spawner = spawner = Spawner(core, dispatcher, hub, launch)
        reaper = Reaper(core, dispatcher, receiver, spawner, hub)
        spawner.on_exit, spawner.on_stderr = reaper.on_exit, receiver.on_stderr
        self._checkout = Checkout(core, dispatcher, receiver, reaper, hub)
        self._intake = Intake(core, dispatcher, self._checkout)
        self.steering = Steering(core, self._checkout, hub)
        self._closed = False
        """True once nothing of it is left."""
        self.maps = Maps()
        """The maps of the pool, for the displays."""
        self._caller = direct.Caller(core, self._checkout, hub)
        self.submit = self._intake.submit
        self.cancel = self._intake.cancel
        self.recall = self._intake.recall
        self.listen = hub.listen
        self.wait = core.wait
        self.require_calm = core.require_calm
        self.require_open = core.require_open

    # -- opening and closing ---------------------------------------------------------------------

    def open(self, wanted: int, grace: float) -> None:
        """Start, and wait until `wanted` workers are ready; if that fails, nothing is left.

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
        self._environ.freeze()
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
        """Wait until `wanted` workers have become ready; False if they did not in time.

        Raises:
            WorkerStartFailed: none is ready, and none is being started any more.
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

    def begin_close(self, grace: float | None = None) -> bool:
        """Take nothing more; False if it is another process's, or was never opened."""
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
        """Finish what there is within `grace` seconds, and end every worker.

        Without `wait` that begins soon, and no lock is taken.
        """
        if wait:
            self._close(grace)
        else:
            self._post(partial(self.begin_close, grace))

    @uninterrupted
    def _close(self, grace: float | None) -> None:
        core = self._core
        if core.postpones(partial(self.begin_close, grace)):
            return
        if self.begin_close(grace) and not core.is_current:
            try:
                core.lock.wait_for(lambda: self._closed or self._checkout.is_all_that_is_left)
            except BaseException:  # interrupted: no more patience
                core.decide(lambda _: core.scheduler.kill_all())
                core.lock.wait_for(lambda: self._closed, TERM_GRACE)
                raise
            if core.lock.wait_for(lambda: self._closed, LENT_GRACE):
                core.keeper.join()
                self._callbacks.join()

    def kill(self, *, wait: bool = True) -> None:
        """End everything at once; `wait` as of `close`."""
        if wait:
            self._kill()
        else:
            self._post(self._kill)

    @uninterrupted
    def _kill(self) -> None:
        core = self._core
        if core.is_alive and not core.postpones(self._kill):
            core.decide(lambda _: core.scheduler.kill_all())
            self._close(0)

    def drain(self, timeout: float | None) -> bool:
        """Wait until nothing waits or runs; False if that did not happen in time."""
        core = self._core
        return core.lock.wait_for(
            lambda: core.is_forked or self._closed or not core.scheduler.has_work, timeout
        )

    # -- work that does not go through the queue -------------------------------------------------

    def exchange(self, request: Request, timeout: float | None) -> Any:
        """Send one request to an idle worker, and wait for its answer, on this thread.

        Raises:
            ProcessPoolError: the item has no value; the error says why, and carries the record.
            NotBegun: nothing has happened: no worker is idle, or it had ended.
        """
        return direct.exchange(self._caller, request, timeout)

    def lease(self, timeout: float | None) -> LocalLease | None:
        """A worker for the calling thread, waiting up to `timeout` seconds for one; None if none.

        Raises:
            PoolClosed, PoolBroken: the pool takes no work.
        """
        worker = self._checkout.lease(timeout)
        return None if worker is None else LocalLease(self._core, self._checkout, worker)

    def unshare(self, name: str) -> None:
        """Have every worker let go of something shared. Takes no lock."""
        self._post(partial(self._dispatcher.unshare, name))

    # -- looking ---------------------------------------------------------------------------------

    @property
    def state(self) -> PoolState:
        """Where the pool is in its life."""
        return self._core.scheduler.state

    @property
    def policy(self) -> Policy:
        """The numbers that hold now."""
        return self._core.scheduler.policy

    @property
    def max_pending(self) -> int:
        """Items that may wait."""
        return self._core.max_pending

    @property
    def unfinished(self) -> int:
        """Items that wait or run."""
        return self._core.scheduler.queued + self._core.scheduler.running

    @property
    def counts(self) -> WorkerCounts:
        """How many workers do what."""
        return self.steering.counts

    def snapshot(self, name: str, *, resources: bool | Collection[int]) -> PoolSnapshot:
        """The pool at this moment; see `take_snapshot`."""
        self._checkout.reclaim()
        return take_snapshot(self._core, self._hub, self.maps, name, resources=resources)

    # -- threads ---------------------------------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """True on a thread that others wait for, which so must not wait for the pool."""
        return self._core.is_current

    def run_callback(self, action: Callable[[], object]) -> None:
        """Run code of the user's soon, where it may wait; on the thread that leads only."""
        self._callbacks.run(action)

    def attend(self) -> None:
        """Somebody wants to be called, and does not wait: what happens is seen to at once."""
        if self._core.is_alive:
            self._core.lead.attend()

    def call_when_room(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the queue has room; it must only tell somebody."""
        self._core.lock.call_when_room(callback)

    def forget_room(self, callback: Callable[[], None]) -> None:
        """Who asked for a call waits no more, or has used the room."""
        self._core.lock.forget(callback)

    def _post(self, action: Callable[[], object]) -> None:
        """Call `action` soon, on the thread that leads then, if there is any. Takes no lock."""
        if self._core.is_alive:
            self._core.loop.post(action)

    # -- the end ---------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Leave nothing behind: no process, no descriptor, no waiting thread."""
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
        for slot in core.scheduler.slots.values():  # there are none, unless a turn failed
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
        """In a forked child: the pool is the parent's. Close this process's copies, quietly."""
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
    for engine in list(_live):
        engine.disown()
    _live.clear()


os.register_at_fork(after_in_child=_after_fork)
