"""Executors, as `concurrent.futures` has them, over a pool of Python functions.

Two rules hold here. What the standard library promises of an executor holds to the letter, so that
code written for one takes these as they are. And what it does not promise is better: a crash costs
the one item that was running, and the executor goes on.
"""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial
from operator import index
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core.states import PoolState
from processpool.executors.mapping import ExecutorMap
from processpool.executors.work import ExecutorFuture, Work, translated
from processpool.system.cpus import usable_cpus
from processpool.system.interrupts import uninterrupted
from processpool.wire.python.arguments import Unsendable
from processpool.wire.python.functions import Task
from processpool.wire.python.layout import STAR
from processpool.worker.fresh_copy import with_fresh_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.context import BaseContext
    from types import TracebackType

    from processpool.api.intake import Intake
    from processpool.api.pool import ProcessPool
    from processpool.wire.python.functions import Request

NEVER = 7 * 86400.0
"""Seconds that an initializer may take; the standard library sets it no limit."""
UNLIMITED = (1 << 31) - 1
"""Items that may wait in the queue: as many as the YAML can say."""


class PoolExecutor(Executor):
    """An executor over an open pool of Python functions: `pool.executor()`.

    It never blocks in `submit`, not even if the pool's queue is full. Shutting it down ends its own
    work and leaves the pool open.
    """

    def __init__(self, pool: ProcessPool, *, echo: bool = False) -> None:
        """Take work for `pool`; with `echo`, what items print is printed here as well.

        Raises:
            TypeError: the pool takes no functions.
        """
        self._pool: ProcessPool | None = pool
        self._intake: Intake | None = pool.intake()
        self._work = Work(echo=echo)

    @property
    def _max_workers(self) -> int:
        """Dask asks the executors of the standard library for this."""
        assert self._pool is not None
        return self._pool.snapshot(resources=False).max

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> ExecutorFuture:
        """Have `fn(*args, **kwargs)` called in a worker.

        Raises:
            RuntimeError: the executor was shut down.
            BrokenProcessPool: no worker can be started, or the initializer fails.
        """
        intake = self._open()
        try:
            request = intake.pack(_callable(fn), args, kwargs)
        except Unsendable as trouble:
            return self._admit(intake).refuse(trouble.error)
        except Exception as error:  # the function cannot be pickled, or is none
            return self._admit(intake).refuse(error)
        return self._submit(intake, request)

    def _admit(self, intake: Intake) -> ExecutorFuture:
        """The future of something new."""
        future = ExecutorFuture(intake, self._work)
        self._work.admit(future)
        return future

    @uninterrupted
    def _submit(self, intake: Intake, request: Request) -> ExecutorFuture:
        future = self._admit(intake)
        try:
            intake.submit(future.job, request)
        except Exception as error:
            self._work.done(future)
            raise translated(error)  # noqa: B904 - it has a cause of its own
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """Like the built-in `map`, with the calls made in the workers.

        Args:
            fn: a function of as many arguments as there are iterables.
            *iterables: its arguments; read at once, unless `buffersize` is given.
            timeout: seconds from now within which each answer must be there when it is asked for.
            chunksize: checked, and not needed: items travel together as it is best.
            buffersize: items that are submitted and not yet taken, at most.

        Raises:
            ValueError: `chunksize` or `buffersize` is less than 1.
            RuntimeError: the executor was shut down.
        """
        deadline = None if timeout is None else monotonic() + timeout
        _check_sizes(chunksize, buffersize)
        items = zip(*iterables, strict=False)
        intake = self._open()
        try:
            _, task = intake.pack(_callable(fn), (), {})
        except Exception as error:
            return _failing(items, error)
        assert task is not None
        star = Task(task.function, STAR)
        run = ExecutorMap(intake.engine, self._work, star, items, intake.timeout)
        run.submit(buffersize)
        return run.results(deadline)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more; the pool stays open.

        Args:
            wait: return only when everything that was submitted has ended.
            cancel_futures: cancel what has not started.
        """
        self._work.close()
        if cancel_futures:
            self._work.cancel(self._workers_starting)
        if wait and not self._is_waiting_for_itself():
            self._work.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._work.kill()
        self.shutdown(wait=True)

    def _open(self) -> Intake:
        """The way into the pool."""
        assert self._intake is not None
        return self._intake

    @property
    def _workers_starting(self) -> int:
        return 0 if self._intake is None else self._intake.workers_starting

    def _is_waiting_for_itself(self) -> bool:
        """True in a future's callback, on the thread that would have to be waited for."""
        return self._intake is not None and self._intake.is_delivering


class ProcessPoolExecutor(PoolExecutor):
    """The standard library's executor of that name, with a pool of its own.

    Workers are started as they are needed. What items print is printed here too, when they end.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
    ) -> None:
        """Prepare it; nothing is started before the first `submit` or `map`.

        Args:
            max_workers: the most worker processes; by default as many as there are usable CPUs.
            mp_context: accepted, and without effect.
            initializer: called in each worker before its first item; if it fails, everything
                that is pending fails with `BrokenProcessPool`.
            initargs: its arguments.
            max_tasks_per_child: items after which a worker is replaced by a new one.

        Raises:
            ValueError, TypeError: as the standard library.
        """
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError("max_tasks_per_child must be an integer")
            if max_tasks_per_child <= 0:
                raise ValueError("max_tasks_per_child must be >= 1")
        self._size = usable_cpus() if max_workers is None else index(max_workers)
        self._setup = None if initializer is None else partial(initializer, *initargs)
        self._tasks_per_child = max_tasks_per_child
        self._work = Work(echo=True)
        self._pool = self._intake = None
        self._opening = Lock()

    @property
    def _max_workers(self) -> int:
        return self._size

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more, and end the workers when everything that was submitted has ended.

        Args:
            wait: return only then.
            cancel_futures: cancel what has not started.
        """
        super().shutdown(wait, cancel_futures=cancel_futures)
        pool, intake = self._pool, self._intake
        if pool is not None and wait:
            pool.close(None)
        elif intake is not None:
            intake.abandon()

    def terminate_workers(self) -> None:
        """Shut down, and end the workers at once; as in Python 3.14."""
        self._work.close()
        if self._pool is not None:
            self._pool.kill()

    kill_workers = terminate_workers

    @property
    def _broken(self) -> bool:
        """True if no worker can be started; there is code that looks here in the original."""
        return self._pool is not None and self._pool.state == PoolState.BROKEN

    def _open(self) -> Intake:
        with self._opening:
            if self._intake is None:
                self._work.check()
                self._pool = self._make_pool().open()
                self._intake = self._pool.intake()
            return self._intake

    def _make_pool(self) -> ProcessPool:
        from processpool.api.pool import ProcessPool
        from processpool.config import pool_from_dict

        sections: dict[str, Any] = {
            "name": "executor",
            "worker": {"kind": "python", "threads": max(1, usable_cpus() // self._size)},
            "size": {"min": 0, "max": self._size, "spare": self._size},
            "queue": {"max_pending": UNLIMITED},
            "timeouts": {"start": NEVER, "idle": None},
        }
        if self._tasks_per_child is not None:
            sections["recycle"] = {"after_requests": self._tasks_per_child, "jitter": 0}
        if self._setup is not None:
            sections["restart"] = {"max_failures": 0}
        return ProcessPool(pool_from_dict(sections), setup=self._setup)


def _callable(fn: Any) -> Callable[..., Any]:
    """The function as it is sent.

    Raises:
        TypeError: it is none; it says what a call would.
    """
    if not callable(fn):
        raise TypeError(f"{type(fn).__name__!r} object is not callable")
    return with_fresh_copies(fn)


def _check_sizes(chunksize: int, buffersize: int | None) -> None:
    if chunksize < 1:
        raise ValueError("chunksize must be >= 1.")
    if buffersize is not None and not isinstance(buffersize, int):
        raise TypeError("buffersize must be an integer or None")
    if buffersize is not None and buffersize < 1:
        raise ValueError("buffersize must be None or > 0")


def _failing(items: Iterator[Any], error: Exception) -> Iterator[Any]:
    """A map whose function cannot be sent: its first item says so."""
    for _ in items:
        raise error
    yield from ()
