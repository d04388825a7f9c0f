"""The interface of an engine: what a pool needs of the code that runs its workers.

    api/, executors/ ──▶ Backend ◀── local.Engine   worker processes on this machine
                                 ◀── fake.FakeBackend   a function in this process, for tests
                                 ◀── backends.dask      worker processes on a cluster's nodes

Work is submitted as a `Batch`. The results of its items are delivered to their `Job`, on any
thread, and never while the caller's locks are held. Methods that block may be called on any thread
for which `require_calm` does not raise; all others return at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from processpool.core.events import Event
    from processpool.core.jobs import Batch, Job
    from processpool.core.policy import Policy
    from processpool.core.snapshot import PoolSnapshot, WorkerCounts
    from processpool.core.states import PoolState
    from processpool.engine.map_registry import Maps
    from processpool.system.monitor import Bell
    from processpool.wire.python.functions import Request, Task


class NotBegun(Exception):
    """A request was not started: no worker is free, or the worker had already ended."""


class Backend(Protocol):
    """An engine, which runs the items of one pool."""

    # -- opening and closing ---------------------------------------------------------------------

    def open(self, wanted: int, grace: float) -> None:
        """Open the engine, and wait until `wanted` workers are ready; on failure, leave nothing.

        If the engine is still open when the interpreter exits, submitted work has `grace` seconds
        to finish.

        Raises:
            WorkerStartFailed: no worker could be started.
            OSError: the system has no descriptor, process or thread left.
        """

    def wait_ready(self, wanted: int, timeout: float | None) -> bool:
        """Wait until `wanted` workers are ready; return False on timeout.

        Raises:
            WorkerStartFailed: no worker is ready or being started any more.
        """

    def drain(self, timeout: float | None) -> bool:
        """Wait until no item is queued or running; return False on timeout."""

    def close(self, grace: float | None, *, wait: bool = True) -> None:
        """Reject new work, and close when all items have ended, or after `grace` seconds.

        With `wait=False`, another thread does that, and no lock is taken, so that finalizers and
        signal handlers may call it.
        """

    def kill(self, *, wait: bool = True) -> None:
        """Kill all workers and close at once; `wait` as for `close`."""

    # -- work ------------------------------------------------------------------------------------

    def submit(self, batch: Batch, *, wait: bool = True, limit: bool = True) -> None:
        """Submit items; with `limit`, wait while the queue is full.

        Raises:
            QueueFull: the queue is full, and `wait` is False.
            PoolClosed, PoolBroken: the pool takes no work.
        """

    def exchange(self, request: Request, timeout: float | None) -> Any:
        """Send one request to a worker and return its answer, all on the calling thread.

        Raises:
            ProcessPoolError: the request failed; the error carries its record.
            NotBegun: nothing was sent, and the request may be submitted instead.
        """

    def lease(self, timeout: float | None) -> LeasedWorker | None:
        """Lease a worker, waiting up to `timeout` seconds for one; return None on timeout.

        Raises:
            PoolClosed, PoolBroken: the pool takes no work.
            NotOnCluster: the workers are on other machines.
        """

    def cancel(self, job: Job, *, kill: bool, soon: bool = False) -> None:
        """Drop the items of a job that have not begun; with `kill`, also end the running ones.

        With `soon`, another thread does that, and no lock is taken.
        """

    def broadcast(self, job: Job, payload: Any) -> int:
        """Have every worker run an item of a job, also those that come later.

        Returns:
            how many workers there are now: their items have the first indexes.
        """

    def stop_stream(self, job: Job) -> None:
        """Have no more parts of a job's only item made. Takes no lock."""

    def prolong(self, job: Job, *, waits: bool) -> None:
        """A part has come of a job's only item, so its time begins anew. Takes no lock.

        With `waits`, it waits for the reader, which is no time of its own.
        """

    def recall(self, job: Job) -> bool:
        """Prevent a job's only item from starting; return False if it has begun."""

    def require_streams(self) -> None:
        """Check that parts of an item can come before its end.

        Raises:
            NotOnCluster: they cannot, from other machines.
        """

    def require_shared_memory(self) -> None:
        """Check that workers can read memory of this process.

        Raises:
            NotOnCluster: they are on other machines.
        """

    def unshare(self, name: str) -> None:
        """Have every worker release the shared object `name`. Takes no lock."""

    # -- looking and steering --------------------------------------------------------------------

    @property
    def steering(self) -> Steering:
        """The pool's controls."""

    @property
    def state(self) -> PoolState:
        """The state of the pool."""

    def require_open(self) -> None:
        """Check that the pool takes work.

        Raises:
            PoolClosed, PoolBroken: it does not.
        """

    @property
    def policy(self) -> Policy:
        """The sizes, times and limits in force."""

    @property
    def max_pending(self) -> int:
        """The most items in the queue."""

    @property
    def maps(self) -> Maps:
        """The pool's maps. Each registers itself here while it runs, and snapshots show it."""

    @property
    def counts(self) -> WorkerCounts:
        """The numbers of workers by what they do."""

    def snapshot(self, name: str, *, resources: bool | Collection[int]) -> PoolSnapshot:
        """Return a snapshot of the pool; `resources` as for `ProcessPool.snapshot`."""

    def listen(
        self, callback: Callable[[Event], None], *, quick: bool = False, items: bool = True
    ) -> Callable[[], None]:
        """Call `callback` with every event from now on; return a function that unsubscribes it."""

    # -- threads ---------------------------------------------------------------------------------

    def wait(self, bell: Bell, deadline: float | None) -> bool:
        """Wait until `bell` has rung, or until `deadline`; the thread may run the engine meanwhile.

        Returns:
            True if the bell has rung.
        """

    def require_calm(self) -> None:
        """Check that the calling thread may block on the pool.

        Raises:
            PoolClosed: this process is a fork of the one that opened the pool.
            RuntimeError: the pool may be waiting for this thread, so blocking could deadlock.
        """

    @property
    def is_current(self) -> bool:
        """True on the thread that runs the engine now: others wait for it, so it must not block."""

    def run_callback(self, action: Callable[[], object]) -> None:
        """Call a function of the user's on a thread that may block; for where `is_current` is True.

        With `is_current` False, it may be called directly instead.
        """

    def after_turn(self, seconds: float, action: Callable[[], object]) -> bool:
        """Have `action` called after this turn, and so many seconds, if this thread leads.

        Returns:
            False if it does not: then nothing is going to happen.
        """

    def attend(self) -> None:
        """Have answers read promptly from now on, although no thread waits for them.

        For callers that are notified by a callback, such as asyncio's.
        """

    def call_when_room(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the queue has room; it must return at once and not use the pool."""

    def forget_room(self, callback: Callable[[], None]) -> None:
        """Withdraw `callback`, or confirm that its caller has used the room."""


class Steering(Protocol):
    """The controls of a running pool."""

    def pause(self) -> None:
        """Assign no work until `resume`."""

    def resume(self) -> None:
        """Assign work again."""

    def resize(self, least: int | None, most: int | None, spare: int | None) -> None:
        """Change the sizes that are not None.

        Raises:
            ValueError: the sizes contradict each other.
        """

    def restart(self, number: int, *, wait: bool) -> None:
        """Replace a worker; with `wait`, only after it has finished its items.

        Raises:
            ValueError: there is no worker with this number.
        """

    def restart_all(self, *, wait: bool) -> None:
        """Replace every worker; with `wait`, one after another, when it has finished its items.

        Raises:
            PoolClosed, PoolBroken: the pool takes no work any more.
        """

    def reset(self) -> None:
        """Have a broken pool start workers again."""


class LeasedWorker(Protocol):
    """A worker that one thread uses exclusively, until `release` or `drop`."""

    @property
    def id(self) -> int:
        """Its number in the pool."""

    @property
    def pid(self) -> int:
        """Its process ID."""

    @property
    def owed(self) -> int:
        """The number of requests whose answers have not been taken."""

    @property
    def failed(self) -> bool:
        """True if the worker cannot be used again; may be set by the lease's owner."""

    @failed.setter
    def failed(self, failed: bool) -> None: ...

    def require_own_process(self) -> None:
        """Check that this process may use the worker.

        Raises:
            PoolClosed: this process is a fork of the one that leased it.
        """

    def send(self, payload: Any, task: Task | None) -> None:
        """Write a whole request, without waiting for its answer."""

    def wait(self, timeout: float | None) -> bool:
        """Wait for something to take, or for the worker's end; return False on timeout."""

    @property
    def has_answer(self) -> bool:
        """True if `take_answer` would return or raise at once."""

    @property
    def has_stderr(self) -> bool:
        """True if there is stderr output that has not been taken."""

    def take_answer(self) -> Any:
        """Wait for the oldest answer that has not been taken, and return it.

        Raises:
            UnexpectedEOF: the worker ended without it.
            ProtocolError: the worker's output is not an answer.
        """

    def take_stderr(self) -> str:
        """Return what the worker has written to stderr since the last call."""

    def release(self, grace: float) -> None:
        """End the lease; answers not taken are read and dropped, for at most `grace` seconds."""

    def drop(self) -> None:
        """End the lease in the background, and have the worker replaced. Takes no lock."""
