"""The core that the parts of an engine share: the lock, the state it guards, and the loop.

`decide` is the way to change anything: under the lock, the scheduler decides, and the writes are
staged in order; after it, all other commands are executed. The fast paths of single items, in
`Intake` and `Receiver.on_answer`, do the same in fewer steps.
"""

from __future__ import annotations

import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core.scheduler import Scheduler
from processpool.core.states import PoolState
from processpool.engine.lock import EngineLock
from processpool.errors import PoolBroken, PoolClosed
from processpool.system.interrupts import uninterrupted
from processpool.system.monitor import sleep_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from processpool.core.commands import Command
    from processpool.core.policy import Policy
    from processpool.engine.lead import Lead
    from processpool.engine.workers.worker import Worker
    from processpool.errors import WorkerStartFailed
    from processpool.system.epoll_loop import Loop
    from processpool.system.monitor import Bell

NOT_OPEN = (
    "the pool is not open: write `with pool:`, or call pool.open() and, when done, pool.close()"
)
CLOSED = "the pool is closed; open a new one: with ProcessPool.from_yaml(...) as pool"
"""Error messages: why a pool takes no work, and what to do about it."""
_OF_THE_PARENT = "this pool belongs to the parent process; open a pool of its own after fork()"


class Core:
    """The state of an engine, and `decide`, which changes it."""

    loop: Loop
    """The event loop; set when the pool is opened, as are `lead` and `keeper`."""
    lead: Lead
    keeper: threading.Thread
    """The thread that starts processes, and leads when no other thread waits."""
    stage: Callable[[Sequence[Command]], None]
    """Stages the writes among commands, in the order of the decisions; called under the lock."""
    execute: Callable[[Sequence[Command]], None]
    """Executes all other commands; called without the lock."""

    def __init__(self, policy: Policy, command: str, max_pending: int, name: str) -> None:
        """Begin without workers; `command` and `name` are for errors."""
        self.lock = EngineLock(self.wait, self.room)
        """Guards all this state; notified when any of it has changed."""
        self.scheduler = Scheduler(policy)
        self.workers: dict[int, Worker] = {}
        """The workers whose processes are running or not reaped yet, by number."""
        self.command = command
        self.name = name
        self.max_pending = max_pending
        self.is_open = False
        """True once the keeper was started, even after it has ended."""
        self.wants_idle = False
        """True if a call must not keep its worker for the next one."""
        self.start_error: WorkerStartFailed | OSError | None = None
        """The error of the last failed start, if it was recent."""
        self.forgiven = 0.0
        """The time of the last `reset`, which forgives earlier failed starts."""
        self.announces_failures = False
        """False while the pool is being opened, when a failed start raises instead."""

    # -- deciding --------------------------------------------------------------------------------

    @uninterrupted
    def decide(self, decision: Callable[[float], Sequence[Command]]) -> Sequence[Command]:
        """Call a method of the scheduler with the time, and execute the commands it returns.

        If a signal handler or finalizer calls this in the middle of another decision on the same
        thread, it is postponed a little.

        Returns:
            the commands; none if postponed.
        """
        if self.postpones(partial(self.decide, decision)):
            return []
        with self.lock:
            commands = decision(monotonic())
            self.stage(commands)
            self.lock.notify_all()
        self.execute(commands)
        return commands

    def postpones(self, action: Callable[[], object]) -> bool:
        """Post `action` to the loop if this thread is in the middle of a decision.

        Returns:
            True if it was postponed, so that the caller must do nothing now.
        """
        if self.lock.is_mine:
            self.loop.post(action)
            return True
        return False

    def post(self, action: Callable[[], object]) -> None:
        """Call `action` soon, on the leader's thread, if the pool is open. Takes no lock."""
        if self.is_alive:
            self.loop.post(action)

    # -- waiting ---------------------------------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """True on the leader's thread and on the keeper, as other threads wait for them."""
        return self.lead.is_mine or threading.current_thread() is self.keeper

    def wait(self, bell: Bell, deadline: float | None) -> bool:
        """Wait until a bell has rung or until `deadline`, leading meanwhile; True if it rang."""
        if not self.is_open or self.is_forked:
            return sleep_until(bell, deadline)
        return self.lead.wait(bell, deadline)

    # -- the pool's state ------------------------------------------------------------------------

    @property
    def is_forked(self) -> bool:
        """True if this process is a fork of the one that opened the pool."""
        return self.scheduler.state is PoolState.FORKED

    @property
    def is_alive(self) -> bool:
        """True if it was opened in this process."""
        return self.is_open and not self.is_forked

    @property
    def has_room(self) -> bool:
        """True if the queue is not full."""
        return self.scheduler.queued < self.max_pending

    def room(self) -> int:
        """Return how many items the queue has room for; unlimited once the pool takes no work."""
        if self.state_error() is not None:
            return 1 << 60
        return max(self.max_pending - self.scheduler.queued, 0)

    def require_own_process(self) -> None:
        """Check that this process is the one that opened the pool.

        Raises:
            PoolClosed: it is a fork of that.
        """
        if self.is_forked:
            raise PoolClosed(_OF_THE_PARENT)

    def require_calm(self) -> None:
        """Check that the calling thread may block on the pool.

        Raises:
            PoolClosed: this process is a fork of the one that opened the pool.
            RuntimeError: the pool may be waiting for this thread, so blocking could deadlock.
        """
        self.require_own_process()
        self.lock.require_calm()

    def require_open(self) -> None:
        """Check that the pool takes work.

        Raises:
            PoolClosed, PoolBroken: it does not.
        """
        if not self.is_open:
            raise PoolClosed(NOT_OPEN)
        if self.scheduler.state is PoolState.OPEN:
            return
        error = self.state_error()
        if error is not None:
            raise error

    def state_error(self) -> Exception | None:
        """Return the error for new work, if the pool takes none now."""
        match self.scheduler.state:
            case PoolState.FORKED:
                return PoolClosed(_OF_THE_PARENT)
            case PoolState.BROKEN:
                error = PoolBroken(
                    "the pool is broken: workers failed to start more often than "
                    f"restart.max_failures allows; mend the cause, then pool.reset(). "
                    f"The last failure: {self.start_error}"
                )
                error.__cause__ = self.start_error
                return error
            case PoolState.CLOSING | PoolState.CLOSED:
                return PoolClosed(CLOSED)
            case _:
                return None
