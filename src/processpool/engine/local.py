"""The engine that runs workers on this machine: one epoll, driven by whoever waits.

    caller ──▶ scheduler (decides, under the lock) ──▶ commands (executed, without it)
                   ▲                                        │ write
        leader ────┴── epoll: answers, stderr, deaths, timers ◀── worker processes

Any thread may decide and write; only the thread that leads reads answers of busy workers and
closes descriptors; only the keeper starts processes. The parts, from the bottom up: `core`,
`event_hub`, `dispatcher`, `receiver`, `spawner`, `reaper`, `checkout`, `intake`, `steering`, and
`life`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from processpool.engine import direct
from processpool.engine.callback_threads import CallbackThreads
from processpool.engine.checkout import Checkout
from processpool.engine.core import Core
from processpool.engine.dispatcher import Dispatcher
from processpool.engine.event_hub import EventHub
from processpool.engine.intake import Intake
from processpool.engine.leased import LocalLease
from processpool.engine.life import Life
from processpool.engine.map_registry import Maps
from processpool.engine.observe import take_snapshot
from processpool.engine.peeking import Peeking
from processpool.engine.rationing import Rationing
from processpool.engine.reaper import Reaper
from processpool.engine.receiver import Receiver
from processpool.engine.spawner import Spawner
from processpool.engine.steering import Steering

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from processpool.core.policy import Policy
    from processpool.core.snapshot import PoolSnapshot, WorkerCounts
    from processpool.core.states import PoolState
    from processpool.engine.inheritance import Environ
    from processpool.engine.workers.worker import Worker
    from processpool.wire.python.functions import Request


class Engine:
    """Runs, feeds and supervises the worker processes of one pool; the local `Backend`."""

    def __init__(
        self,
        policy: Policy,
        launch: Callable[[int, int, str], Worker],
        environ: Environ,
        command: str,
        max_pending: int,
        name: str,
    ) -> None:
        """Put the parts together; nothing runs yet.

        Args:
            policy: the numbers to work by.
            launch: starts the worker process of a number, for a place, with a mark.
            environ: what its workers inherit, read when it opens.
            command: what its workers run, for errors.
            max_pending: items that may wait.
            name: the pool's, for errors.
        """
        self._environ = environ
        self._core = core = Core(policy, command, max_pending, name)
        self._callbacks = CallbackThreads()
        self._hub = hub = EventHub(core, self._callbacks, name)
        self._dispatcher = dispatcher = Dispatcher(core, hub)
        receiver = Receiver(core, dispatcher, hub)
        Peeking(core, dispatcher, receiver)
        Rationing(core, dispatcher)
        spawner = Spawner(core, dispatcher, hub, launch)
        reaper = Reaper(core, dispatcher, receiver, spawner, hub)
        spawner.on_exit, spawner.on_stderr = reaper.on_exit, receiver.on_stderr
        self._checkout = Checkout(core, dispatcher, receiver, reaper, hub)
        self._life = Life(core, self._callbacks, hub, dispatcher, self._checkout, spawner)
        intake = Intake(core, dispatcher, self._checkout)
        self.steering = Steering(core, self._checkout, hub)
        self.maps = Maps()
        """The maps of the pool, for the displays."""
        self._caller = direct.Caller(core, self._checkout, hub)
        self.submit = intake.submit
        self.broadcast = intake.broadcast
        self.stop_stream = intake.stop_stream
        self.prolong = intake.prolong
        self.cancel = intake.cancel
        self.recall = intake.recall
        self.wait_ready = self._life.wait_ready
        self.drain = self._life.drain
        self.close = self._life.close
        self.kill = self._life.kill
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
        self._environ.freeze()
        self._life.open(wanted, grace)

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

    def require_streams(self) -> None:
        """Do nothing: parts come as they are made."""

    def require_shared_memory(self) -> None:
        """Do nothing: the workers are on this machine."""

    def unshare(self, name: str) -> None:
        """Have every worker let go of something shared. Takes no lock."""
        self._core.post(partial(self._dispatcher.unshare, name))

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

    def after_turn(self, seconds: float, action: Callable[[], object]) -> bool:
        """Have `action` called after this turn, and so many seconds, if this thread leads."""
        if not self._core.lead.is_mine:
            return False
        self._core.loop.later(seconds, action)
        return True

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
