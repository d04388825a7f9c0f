"""The results of a `Pool`: `AsyncResult` and `ResultIterator`, as multiprocessing has them."""

from __future__ import annotations

from collections import deque
from threading import Condition, Event, Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future


class AsyncResult:
    """The result of `apply_async`, `map_async` or `starmap_async`."""

    def __init__(
        self,
        future: Future[Any],
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> None:
        """Take the result of `future`, once the callback for it has returned."""
        self._future = future
        self._called: Event | None = None
        """Set once a callback has returned; None if there is none."""
        if callback is None and error_callback is None:
            return
        called = self._called = Event()

        def tell(ended: Future[Any]) -> None:
            try:
                if ended.cancelled() or ended.exception() is not None:
                    if error_callback is not None:
                        error_callback(_error_of(ended))
                elif callback is not None:
                    callback(ended.result())
            finally:
                called.set()

        future.add_done_callback(tell)

    def ready(self) -> bool:
        """Return whether the call has ended."""
        return self._future.done() if self._called is None else self._called.is_set()

    def successful(self) -> bool:
        """Return whether the call has ended without an exception.

        Raises:
            ValueError: it has not ended.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return not self._future.cancelled() and self._future.exception() is None

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the call has ended, or for so many seconds."""
        if self._called is not None:
            self._called.wait(timeout)
            return
        try:
            self._future.exception(timeout)
        except BaseException:
            if not self.ready() and timeout is None:
                raise  # interrupted

    def get(self, timeout: float | None = None) -> Any:
        """Return the value, or raise the exception of the call.

        Raises:
            multiprocessing.TimeoutError: it has not ended after so many seconds.
        """
        if self._called is not None:
            self._called.wait(timeout)
        elif timeout is None:
            return self._future.result()
        else:
            self.wait(max(timeout, 0))
        if not self.ready():
            raise _timeout()
        return self._future.result()


class ResultIterator:
    """The results of `imap` or `imap_unordered`, collected while nobody waits for them."""

    def __init__(self, results: Iterator[Any], is_failure: Callable[[Any], bool]) -> None:
        """Begin to collect; results for which `is_failure` holds are raised in their turn."""
        self._results = results
        self._is_failure = is_failure
        self._arrived: deque[tuple[bool, Any]] = deque()
        """Whether each is an exception to raise, and what it is."""
        self._changed = Condition()
        self._is_over = False
        self.thread = Thread(target=self._collect, name="processpool.Pool imap", daemon=True)
        self.thread.start()

    def _collect(self) -> None:
        try:
            for result in self._results:
                self._put((self._is_failure(result), result))
        except BaseException as error:
            self._put((True, error))
        finally:
            del self._results
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _put(self, result: tuple[bool, Any]) -> None:
        was_empty = not self._arrived
        self._arrived.append(result)
        if was_empty:
            with self._changed:
                self._changed.notify_all()

    def __iter__(self) -> ResultIterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        """Return the next result, or raise the exception of its call.

        Raises:
            StopIteration: there is no other.
            multiprocessing.TimeoutError: it has not come after so many seconds.
        """
        arrived = self._arrived
        if not arrived:
            self._await(None if timeout is None else monotonic() + timeout)
        failed, result = arrived.popleft()
        if failed:
            raise result
        return result

    def _await(self, deadline: float | None) -> None:
        with self._changed:
            while not self._arrived:
                if self._is_over:
                    raise StopIteration
                left = None if deadline is None else deadline - monotonic()
                if left is not None and left <= 0:
                    raise _timeout()
                self._changed.wait(left)


def run_in_thread(call: Callable[[], Any], future: Future[Any], name: str) -> Thread:
    """Have a new thread make a call, whose result goes into `future`; return the thread."""

    def run() -> None:
        try:
            value = call()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(value)

    thread = Thread(target=run, name=name)
    thread.start()
    return thread


def join_all(threads: list[Thread]) -> None:
    """Wait until these threads have ended; the calling one may be among them."""
    for thread in threads:
        if thread is not current_thread():
            thread.join()


def _error_of(future: Future[Any]) -> BaseException:
    from concurrent.futures import CancelledError

    if future.cancelled():
        return CancelledError()
    error = future.exception()
    assert error is not None
    return error


def _timeout() -> Exception:
    from multiprocessing import TimeoutError as PoolTimeout

    return PoolTimeout()
