"""`processpool.Pool`: the methods of `multiprocessing.Pool`, over a pool of Python functions.

Two rules hold here. What the standard library documents holds, so that code written for it runs
unchanged. But a worker that ends costs the one item that it had, whose error says so, where the
standard library's `map` would wait for ever.
"""

from __future__ import annotations

import warnings
from concurrent.futures import Future
from functools import partial
from operator import index
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from processpool.errors import PoolClosed, ProcessPoolError
from processpool.executors.executor import PoolExecutor
from processpool.executors.own_pool import make_pool
from processpool.executors.results import (
    AsyncResult,
    ResultIterator,
    join_all,
    run_in_thread,
)
from processpool.executors.work import translated
from processpool.system.cpus import usable_cpus
from processpool.worker.fresh_copy import with_fresh_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from processpool.core.snapshot import WorkerSnapshot

    Done = Callable[[Any], object] | None
    Failed = Callable[[BaseException], object] | None


class Pool:
    """A pool of worker processes with the methods of `multiprocessing.Pool`.

    Chunk sizes are accepted and have no effect: fast items travel together by themselves. What an
    item prints is printed here.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: object = None,
    ) -> None:
        """Start the workers.

        Args:
            processes: the number of workers; by default the number of usable CPUs.
            initializer: called in each worker before its first item.
            initargs: the arguments of `initializer`.
            maxtasksperchild: the number of items after which a worker is replaced.
            context: accepted, but has no effect.

        Raises:
            ValueError, TypeError: as in the standard library.
            WorkerStartFailed: no worker could be started, or the initializer failed.
        """
        self._is_running = False
        self._processes = usable_cpus() if processes is None else index(processes)
        if self._processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None and (
            not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0
        ):
            raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        setup = None if initializer is None else partial(initializer, *initargs)
        size = self._processes
        self._inner = make_pool("Pool", size, setup, maxtasksperchild, least=size).open()
        self._executor = PoolExecutor(self._inner, echo=True)
        self._threads: list[Thread] = []
        """Those that collect results, and the one that ends the workers."""
        self._lock = Lock()
        self._is_running = True

    # -- calls -----------------------------------------------------------------------------------

    def apply(
        self, func: Callable[..., Any], args: Iterable[Any] = (), kwds: Mapping[str, Any] = {}
    ) -> Any:
        """Call `func(*args, **kwds)` in a worker, and return its value."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        callback: Done = None,
        error_callback: Failed = None,
    ) -> AsyncResult:
        """Call `func(*args, **kwds)` in a worker; the result comes later."""
        self._require_running()
        future = self._executor.submit(func, *args, **kwds)
        return AsyncResult(future, callback, error_callback)

    def map(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[Any]:
        """Return the values of `func` for all items; if some fail, the first error, at the end."""
        self._require_running()
        return self._map(_packed(func), iterable)

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Done = None,
        error_callback: Failed = None,
    ) -> AsyncResult:
        """Do the same as `map`; the result comes later."""
        call = partial(self._map, _packed(func), list(iterable))
        return self._later(call, callback, error_callback)

    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[Any]:
        """Do the same as `map`, for items that are the arguments of a call each."""
        self._require_running()
        return self._map(_Star(func), iterable)

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Done = None,
        error_callback: Failed = None,
    ) -> AsyncResult:
        """Do the same as `starmap`; the result comes later."""
        call = partial(self._map, _Star(func), list(iterable))
        return self._later(call, callback, error_callback)

    def imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> ResultIterator:
        """Return an iterator of the values, in order; an item's error is raised in its turn."""
        return self._lazily(self._inner.imap, func, iterable, chunksize)

    def imap_unordered(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> ResultIterator:
        """Do the same as `imap`, with each value as soon as it is there."""
        return self._lazily(self._inner.imap_unordered, func, iterable, chunksize)

    def _map(self, func: Callable[..., Any], iterable: Iterable[Any]) -> list[Any]:
        values: list[Any] = self._inner.map(func, iterable, on_error="return", echo=True)
        for value in values:
            if isinstance(value, BaseException) and _is_failure(value):
                raise translated(value)
        return values

    def _later(
        self, call: Callable[[], Any], callback: Done, error_callback: Failed
    ) -> AsyncResult:
        self._require_running()
        future: Future[Any] = Future()
        result = AsyncResult(future, callback, error_callback)
        self._keep(run_in_thread(call, future, "processpool.Pool map"))
        return result

    def _lazily(
        self, imap: Any, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int
    ) -> ResultIterator:
        self._require_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
        values = imap(_packed(func), iterable, on_error="return", echo=True)
        iterator = ResultIterator(values, _is_failure)
        self._keep(iterator.thread)
        return iterator

    def _keep(self, thread: Thread) -> None:
        with self._lock:
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(thread)

    # -- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Take no more work; the workers end once everything is done."""
        if self._is_running:
            self._is_running = False
            before = self._threads
            end = Thread(target=self._finish, args=(before,), name="processpool.Pool", daemon=True)
            self._threads = [end]
            end.start()

    def _finish(self, threads: list[Thread]) -> None:
        join_all(threads)
        self._executor.shutdown()
        self._inner.close(None)

    def terminate(self) -> None:
        """End the workers at once; what has not ended fails with `PoolClosed`."""
        self._is_running = False
        self._inner.kill()

    def join(self) -> None:
        """Wait until the workers have ended.

        Raises:
            ValueError: neither `close` nor `terminate` was called before.
        """
        if self._is_running:
            raise ValueError("Pool is still running")
        join_all(self._threads)

    def __enter__(self) -> Self:
        self._require_running()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.terminate()

    def __del__(self) -> None:
        if self._is_running:
            shown = repr(self)
            self.terminate()
            warnings.warn(f"unclosed running pool {shown}", ResourceWarning, 2, source=self)

    def __repr__(self) -> str:
        state = "running" if self._is_running else "closed"
        return f"<processpool.Pool of {self._processes} workers, {state}>"

    def __reduce__(self) -> str:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    @property
    def _pool(self) -> tuple[WorkerSnapshot, ...]:
        """The workers; some code counts them by this private attribute."""
        return self._inner.snapshot(resources=False).workers

    def _require_running(self) -> None:
        if not self._is_running:
            raise ValueError("Pool not running")


class _Star:
    """Calls a function with the arguments in a tuple."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = _packed(func)
        self.__qualname__ = getattr(func, "__qualname__", type(func).__qualname__)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Star, (self.func,)

    def __call__(self, arguments: Iterable[Any]) -> Any:
        return self.func(*arguments)


def _packed(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of which each call has a fresh copy, as if it was pickled for each."""
    if not callable(func):
        raise TypeError(f"{type(func).__name__!r} object is not callable")
    return with_fresh_copies(func)


def _is_failure(result: Any) -> bool:
    """True for the error of an item, and not for an exception that it has returned."""
    if not isinstance(result, BaseException):
        return False
    if isinstance(result, ProcessPoolError | PoolClosed):
        return True
    return getattr(getattr(result, "record", None), "error", None) is result
