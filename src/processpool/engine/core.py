"""What the parts of an engine share: the lock, all that it guards, and the loop.

`decide` is the way to change anything: under the lock the scheduler decides, and what must be
written is staged in order; once the lock is released, everything that was decided is executed. The
short ways of single items, in `Intake` and `Receiver.on_answer`, do the same in fewer steps.
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
"""Why a pool takes no work, and what to do."""
_OF_THE_PARENT = "this pool belongs to the parent process; open a pool of its own after fork()"


class Core:
    """The state of one engine, and how it is changed."""

    loop: Loop
    """There once the pool is open, as are `lead` and `keeper`."""
    lead: Lead
    keeper: threading.Thread
    """The thread that starts processes, and leads when nobody waits."""
    stage: Callable[[Sequence[Command]], None]
    """Stages what must be written, in the order of the decisions; under the lock."""
    execute: Callable[[Sequence[Command]], None]
    """Does what was decided; without the lock."""

    def __init__(self, policy: Policy, command: str, max_pending: int, name: str) -> None:
        """Begin with nothing; `command` and `name` are for errors."""
        self.lock = EngineLock(self.wait, self.room)
        """Notified when room, a worker, or an end has come."""
        self.scheduler = Scheduler(policy)
        self.workers: dict[int, Worker] = {}
        """Those whose process runs, or has not been reaped, by number."""
        self.command = command
        self.name = name
        self.max_pending = max_pending
        self.is_open = False
        """True from the start of the keeper on, also when it has ended."""
        self.wants_idle = False
        """True if a call must not keep its worker for the next one."""
        self.start_error: WorkerStartFailed | OSError | None = None
        """Why a worker has recently failed to start."""
        self.forgiven = 0.0
        """When the failed starts up to then were forgiven."""
        self.announces_failures = False
        """False while whoever opens the pool is told of a failed start by an exception."""

    # -- deciding --------------------------------------------------------------------------------

    @uninterrupted
    def decide(self, decision: Callable[[float], Sequence[Command]]) -> Sequence[Command]:
        """Let the scheduler decide something, given the time, and do it.

        A decision that comes up in the middle of another one on the same thread, in a signal's
        handler or a finalizer, is made a little later.

        Returns:
            what was decided.
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
        """If this thread is in the middle of a decision, have `action` done a little later.

        Returns:
            True if so: then there is nothing to do now.
        """
        if self.lock.is_mine:
            self.loop.post(action)
            return True
        return False

    def post(self, action: Callable[[], object]) -> None:
        """Call `action` soon, on the thread that leads then, if there is any. Takes no lock."""
        if self.is_alive:
            self.loop.post(action)

    # -- waiting ---------------------------------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """True on a thread that others wait for: the one that leads, and the keeper."""
        return self.lead.is_mine or threading.current_thread() is self.keeper

    def wait(self, bell: Bell, deadline: float | None) -> bool:
        """Wait until a bell has rung, or that time has come; and lead meanwhile."""
        if not self.is_open or self.is_forked:
            return sleep_until(bell, deadline)
        return self.lead.wait(bell, deadline)

    # -- the pool's state ------------------------------------------------------------------------

    @property
    def is_forked(self) -> bool:
        """True if this is a fork of the process that has opened the pool."""
        return self.scheduler.state is PoolState.FORKED

    @property
    def is_alive(self) -> bool:
        """True if it was opened, and in this process."""
        return self.is_open and not self.is_forked

    @property
    def has_room(self) -> bool:
        """True if the queue is not full."""
        return self.scheduler.queued < self.max_pending

    def room(self) -> int:
        """Items that the queue has room for; any number, once there is no use in waiting."""
        if self.state_error() is not None:
            return 1 << 60
        return max(self.max_pending - self.scheduler.queued, 0)

    def require_own_process(self) -> None:
        """Refuse to work in a fork of the process that has opened the pool.

        Raises:
            PoolClosed: this is one.
        """
        if self.is_forked:
            raise PoolClosed(_OF_THE_PARENT)

    def require_calm(self) -> None:
        """See that this thread may wait for the pool.

        Raises:
            PoolClosed: this is a fork of the process that has opened it.
            RuntimeError: the thread is in the middle of something that the pool waits for.
        """
        self.require_own_process()
        self.lock.require_calm()

    def require_open(self) -> None:
        """See that work is taken.

        Raises:
            PoolClosed, PoolBroken: it is not.
        """
        if not self.is_open:
            raise PoolClosed(NOT_OPEN)
        if self.scheduler.state is PoolState.OPEN:
            return
        error = self.state_error()
        if error is not None:
            raise error

    def state_error(self) -> Exception | None:
        """Why the pool takes no work now, if it does not."""
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
