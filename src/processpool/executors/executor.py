"""`concurrent.futures` executors over a pool of Python functions.

Two rules hold here. Everything that the standard library documents of an executor holds, so that
code written for one works unchanged. But a crash costs only the item that was running: the executor
remains usable, where the standard library's would be broken.
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
from processpool.executors.own_pool import make_pool
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


class PoolExecutor(Executor):
    """An executor over an open pool of Python functions: `pool.executor()`.

    `submit` never blocks, even if the pool's queue is full. Shutting the executor down ends its own
    work and leaves the pool open.
    """

    def __init__(self, pool: ProcessPool, *, echo: bool = False) -> None:
        """Make an executor over `pool`; with `echo`, the output of items is also printed here.

        Raises:
            TypeError: `pool` is not a pool of functions.
        """
        self._pool: ProcessPool | None = pool
        self._intake: Intake | None = pool.intake()
        self._work = Work(echo=echo)

    @property
    def _max_workers(self) -> int:
        """The most workers; Dask reads this private attribute of executors."""
        assert self._pool is not None
        return self._pool.snapshot(resources=False).max

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> ExecutorFuture:
        """Submit the call `fn(*args, **kwargs)`.

        Raises:
            RuntimeError: the executor was shut down.
            BrokenProcessPool: no worker can be started, or the initializer failed.
        """
        intake = self._open()
        try:
            request = intake.pack(_callable(fn), args, kwargs)
        except Unsendable as trouble:
            return self._admit(intake).refuse(trouble.error)
        except Exception as error:  # the function cannot be pickled, or is not callable
            return self._admit(intake).refuse(error)
        return self._submit(intake, request)

    def _admit(self, intake: Intake) -> ExecutorFuture:
        """Return a new future, registered as pending work."""
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
        """Like the built-in `map`, but the calls run in the workers.

        Args:
            fn: a function of as many arguments as there are iterables.
            *iterables: its arguments; read at once, unless `buffersize` is given.
            timeout: seconds from now after which asking for a result that is not there raises.
            chunksize: checked but not used, as the pool chooses how many items travel together.
            buffersize: the most items that are submitted and whose results are not yet taken.

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
        run = ExecutorMap(intake, self._work, star, items)
        run.submit(buffersize)
        return run.results(deadline)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Reject new work; the pool stays open.

        Args:
            wait: wait until everything that was submitted has ended.
            cancel_futures: cancel the futures that have not started.
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

    # Notebooks show an executor as its pool.

    def _ipython_display_(self) -> None:
        self._shown._ipython_display_()

    def _display_(self) -> Any:
        return self._shown._display_()

    def _repr_html_(self) -> str:
        return self._shown._repr_html_()

    @property
    def _shown(self) -> ProcessPool:
        """Its pool, which an executor of its own makes now."""
        if self._pool is None:
            self._open()
        assert self._pool is not None
        return self._pool

    def _open(self) -> Intake:
        """Return the pool's intake, through which work is submitted."""
        assert self._intake is not None
        return self._intake

    @property
    def _workers_starting(self) -> int:
        return 0 if self._intake is None else self._intake.workers_starting

    def _is_waiting_for_itself(self) -> bool:
        """True in a callback on the thread that delivers answers, which must not wait for them."""
        return self._intake is not None and self._intake.is_delivering


class ProcessPoolExecutor(PoolExecutor):
    """A drop-in replacement for the standard library's `ProcessPoolExecutor`, with its own pool.

    Workers are started on demand. The output of an item is printed here when it ends.
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
        """Make an executor; nothing is started before the first `submit` or `map`.

        Args:
            max_workers: the most worker processes; by default the number of usable CPUs.
            mp_context: accepted, but has no effect.
            initializer: called in each worker before its first item; if it fails, all pending
                futures fail with `BrokenProcessPool`.
            initargs: the arguments of `initializer`.
            max_tasks_per_child: the number of items after which a worker is replaced.

        Raises:
            ValueError, TypeError: as in the standard library.
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
        """Reject new work, and end the workers once everything that was submitted has ended.

        Args:
            wait: wait until then.
            cancel_futures: cancel the futures that have not started.
        """
        super().shutdown(wait, cancel_futures=cancel_futures)
        pool, intake = self._pool, self._intake
        if pool is not None and wait:
            pool.close(None)
        elif intake is not None:
            intake.abandon()

    def terminate_workers(self) -> None:
        """Shut down, and kill the workers at once; as in Python 3.14."""
        self._work.close()
        if self._pool is not None:
            self._pool.kill()

    kill_workers = terminate_workers

    @property
    def _broken(self) -> bool:
        """True if no worker can be started; some code reads this private attribute."""
        return self._pool is not None and self._pool.state == PoolState.BROKEN

    def _open(self) -> Intake:
        with self._opening:
            if self._intake is None:
                self._work.check()
                pool = make_pool("executor", self._size, self._setup, self._tasks_per_child)
                self._pool = pool.open()
                self._intake = self._pool.intake()
            return self._intake


def _callable(fn: Any) -> Callable[..., Any]:
    """Return `fn` wrapped so that each item is called with a fresh copy of it.

    Raises:
        TypeError: `fn` is not callable; with the same message as calling it.
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
    """Return the results of a map whose function cannot be sent: the first one raises `error`."""
    for _ in items:
        raise error
    yield from ()
