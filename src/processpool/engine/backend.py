"""An engine as everything above it sees it: the seam between the pool and what runs workers.

    api/, executors/ ──▶ Backend ◀── local.Engine   worker processes on this machine
                                 ◀── fake.FakeBackend   a function in this process, for tests

Work goes in as a `Batch`. Whatever becomes of its items is told to their `Job`, on any thread, and
never while the caller's locks are held. A method that waits may be called from any thread that
passes `require_calm`; all others return at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from processpool.core.events import Event
    from processpool.core.jobs import Batch, Job
    from processpool.core.map_registry import Maps
    from processpool.core.policy import Policy
    from processpool.core.snapshot import PoolSnapshot, WorkerCounts
    from processpool.core.states import PoolState
    from processpool.system.monitor import Bell
    from processpool.wire.python.functions import Request, Task


class NotBegun(Exception):
    """Nothing has been done about a request: no worker is free, or it had ended before."""


class Backend(Protocol):
    """Runs the work of one pool."""

    # -- opening and closing ---------------------------------------------------------------------

    def open(self, wanted: int, grace: float) -> None:
        """Start, and wait until `wanted` workers are ready; if that fails, nothing is left.

        Whoever has not closed it when the interpreter ends, loses what is not done in `grace`
        seconds.

        Raises:
            WorkerStartFailed: no worker could be started.
            OSError: the system has no descriptor, process or thread left.
        """

    def wait_ready(self, wanted: int, timeout: float | None) -> bool:
        """Wait until `wanted` workers have become ready; False if they did not in time.

        Raises:
            WorkerStartFailed: none is ready, and none is being started any more.
        """

    def drain(self, timeout: float | None) -> bool:
        """Wait until nothing waits or runs; False if that did not happen in time."""

    def close(self, grace: float | None, *, wait: bool = True) -> None:
        """Take nothing more, and end once all is done, after `grace` seconds at the latest.

        Without `wait` that begins soon, and no lock is taken: finalizers and handlers of signals
        may ask for it.
        """

    def kill(self, *, wait: bool = True) -> None:
        """End everything at once; `wait` as of `close`."""

    # -- work ------------------------------------------------------------------------------------

    def submit(self, batch: Batch, *, wait: bool = True, limit: bool = True) -> None:
        """Take items in; `limit` says whether the queue may be too full for them.

        Raises:
            QueueFull: there is no room, and `wait` is False.
            PoolClosed, PoolBroken: no work is taken.
        """

    def exchange(self, request: Request, timeout: float | None) -> Any:
        """Have one request answered on the calling thread.

        Raises:
            ProcessPoolError: it has no value; the error says why, and carries the record.
            NotBegun: nothing has happened; the request may be submitted instead.
        """

    def lease(self, timeout: float | None) -> LeasedWorker | None:
        """Give the caller a worker, waiting up to `timeout` seconds for one; None if none came.

        Raises:
            PoolClosed, PoolBroken: no work is taken.
        """

    def cancel(self, job: Job, *, kill: bool, soon: bool = False) -> None:
        """Start nothing more of the job; with `kill`, end what runs of it.

        With `soon` that happens in a moment, and no lock is taken.
        """

    def recall(self, job: Job) -> bool:
        """Keep the one item of a job from being begun; False if it has begun."""

    def unshare(self, name: str) -> None:
        """Have every worker let go of something shared. Takes no lock."""

    # -- looking and steering --------------------------------------------------------------------

    @property
    def steering(self) -> Steering:
        """What may be changed while it runs."""

    @property
    def state(self) -> PoolState:
        """Where the pool is in its life."""

    def require_open(self) -> None:
        """See that work is taken.

        Raises:
            PoolClosed, PoolBroken: it is not.
        """

    @property
    def policy(self) -> Policy:
        """The numbers that hold now."""

    @property
    def max_pending(self) -> int:
        """Items that may wait."""

    @property
    def maps(self) -> Maps:
        """The maps of the pool: whoever runs one enters it, and the snapshot shows it."""

    @property
    def counts(self) -> WorkerCounts:
        """How many workers do what."""

    def snapshot(self, name: str, *, resources: bool | Collection[int]) -> PoolSnapshot:
        """The pool at this moment; `resources` as of `ProcessPool.snapshot`."""

    def listen(
        self, callback: Callable[[Event], None], *, quick: bool = False
    ) -> Callable[[], None]:
        """Call `callback` with every event from now on; the result ends that."""

    # -- threads ---------------------------------------------------------------------------------

    def wait(self, bell: Bell, deadline: float | None) -> bool:
        """Wait until a bell has rung, or that time has come; and be of use meanwhile."""

    def require_calm(self) -> None:
        """See that this thread may wait for the pool.

        Raises:
            PoolClosed: this is a fork of the process that has opened it.
            RuntimeError: the thread is in the middle of something that the pool waits for.
        """

    @property
    def is_current(self) -> bool:
        """True on a thread that others wait for, which so must not wait for the pool."""

    def run_callback(self, action: Callable[[], object]) -> None:
        """Run code of the user's soon, where it may wait; only where `is_current` is true."""

    def attend(self) -> None:
        """Somebody wants to be called, and does not wait: what happens is seen to at once."""

    def call_when_room(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the queue has room; it must only tell somebody."""

    def forget_room(self, callback: Callable[[], None]) -> None:
        """Who asked for a call waits no more, or has used the room."""


class Steering(Protocol):
    """What the owner of a pool may have changed while it runs."""

    def pause(self) -> None:
        """Hand out nothing until `resume`."""

    def resume(self) -> None:
        """Hand out work again."""

    def resize(self, least: int | None, most: int | None, spare: int | None) -> None:
        """Change the sizes; None leaves one as it is.

        Raises:
            ValueError: the sizes contradict each other.
        """

    def restart(self, number: int, *, wait: bool) -> None:
        """Replace a worker; with `wait`, when it has done what it has.

        Raises:
            ValueError: there is none of this number.
        """

    def reset(self) -> None:
        """Try again to start workers."""


class LeasedWorker(Protocol):
    """A worker that belongs to one thread, until that gives it back by `release` or `drop`."""

    @property
    def id(self) -> int:
        """Its number in the pool."""

    @property
    def pid(self) -> int:
        """Its process."""

    @property
    def owed(self) -> int:
        """Requests that were sent, and whose answers nobody has taken yet."""

    @property
    def failed(self) -> bool:
        """True if it cannot be used again; whoever has it may say so."""

    @failed.setter
    def failed(self, failed: bool) -> None: ...

    def require_own_process(self) -> None:
        """See that this process may use it.

        Raises:
            PoolClosed: it is a fork of the one that may.
        """

    def send(self, payload: Any, task: Task | None) -> None:
        """Send a request, all of it; that does not wait for an answer."""

    def wait(self, timeout: float | None) -> bool:
        """Wait for something to take, or for its end; False if the time is over."""

    @property
    def has_answer(self) -> bool:
        """True if `take_answer` returns, or raises, at once."""

    @property
    def has_stderr(self) -> bool:
        """True if it has written to stderr since somebody took that."""

    def take_answer(self) -> Any:
        """Wait for the answer to the oldest open request.

        Raises:
            UnexpectedEOF: it ended without one.
            ProtocolError: what it wrote is no answer.
        """

    def take_stderr(self) -> str:
        """What it has written to stderr since this was last called."""

    def release(self, grace: float) -> None:
        """Give it back; answers that are owed are read for `grace` seconds at most."""

    def drop(self) -> None:
        """Give it back soon, as it is. Takes no lock."""
