"""The ways to get answers from a pool: one, many, and under asyncio."""

from __future__ import annotations

import logging
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.futures import PoolFuture
from processpool.api.maps import EagerMap, LazyMap, MapOptions
from processpool.api.seconds import bounded
from processpool.api.watched import WatchedPool
from processpool.core.jobs import Batch, attach
from processpool.core.outcome import Outcome
from processpool.engine.backend import NotBegun
from processpool.errors import ProcessPoolError
from processpool.wire.python.arguments import Unsendable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import EllipsisType

    from processpool.api.call_forms import Call
    from processpool.api.map_job import OnError
    from processpool.wire.python.functions import Request


log = logging.getLogger("processpool")


class AskedPool(WatchedPool):
    """A pool that takes requests, and gives answers."""

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        """Send one request and wait for its answer, on this thread: the fastest path.

        Raises:
            WorkerDied: the worker ended while it had the request.
            RequestTimeout: it took longer than `timeouts.request`.
            ProtocolError: the message cannot be sent, or the answer is none.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        request = self._packed(self._form.single("call", args, kwargs))
        if not self._retries:
            try:
                return self._engine.exchange(request, self._timeout)
            except NotBegun:
                pass  # no worker is free, or it had ended: the request gets in line
        self._engine.require_open()
        future = self._submit(request)
        try:
            return future.result()
        except Exception:
            raise
        except BaseException:  # interrupted: it runs for nobody
            future.kill()
            raise

    def submit(self, /, *args: Any, **kwargs: Any) -> PoolFuture:
        """Send one request; return the future of its answer.

        Raises:
            QueueFull: the queue is full, and the pool declares `queue.when_full: raise`.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        call = self._form.single("submit", args, kwargs)
        self._engine.require_open()
        try:
            request = self._form.pack(call)
        except (ProcessPoolError, Unsendable) as trouble:
            future = PoolFuture(self._engine, None)
            future._job.refuse(trouble.error if isinstance(trouble, Unsendable) else trouble)
            return future
        return self._submit(request)

    def _packed(self, call: Call) -> Request:
        """Return an item as it travels; the error of one that cannot be sent carries its record."""
        try:
            return self._form.pack(call)
        except (ProcessPoolError, Unsendable) as trouble:
            error = trouble.error if isinstance(trouble, Unsendable) else trouble
        attach(Outcome(index=0, error=error, attempts=0))
        raise error

    def _submit(self, request: Request) -> PoolFuture:
        payload, task = request
        future = PoolFuture(self._engine, self._timeout, task)
        batch = Batch(future._job, 0, (payload,), monotonic())
        try:
            self._engine.submit(batch, wait=self.config.queue.when_full == "wait")
        except Exception:
            raise
        except BaseException:  # interrupted: nobody will know of it
            future.kill()
            raise
        return future

    def map(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        progress: bool | str = False,
        details: bool = False,
        echo: bool = False,
        chunksize: int | None = None,
    ) -> list[Any]:
        """Send many requests, and wait for all answers.

        Args:
            *args: the messages, as one iterable.
            timeout: seconds that one item may take, instead of `timeouts.request`; or a duration
                such as "30s".
            on_error: `raise` stops the map at the first error; `return` puts the error in the
                item's place; `skip` leaves the item out.
            progress: show a progress bar, unless the pool's widget is on show, which has one
                for every map; a string is its label.
            details: `Outcome` records instead of values.
            echo: show here, line by line, what the items print while they run; of a command what
                it wrote to stderr, when it has answered.
            chunksize: accepted, and of no effect: fast items travel together by themselves.

        Returns:
            The answers, in the order of the items.
        """
        _note_chunks(chunksize)
        options = MapOptions(self._seconds(timeout), on_error, progress, details, echo=echo)
        items = self._form.many("map", args)
        self._engine.require_open()
        run = EagerMap(self._engine, items, options)
        try:
            return run.collect(bar=not self._is_on_show)
        except Exception:
            raise
        except BaseException:  # interrupted
            run.abort()
            raise

    def imap(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        progress: bool | str = False,
        details: bool = False,
        buffersize: int | None = None,
        echo: bool = False,
        chunksize: int | None = None,
    ) -> Iterator[Any]:
        """Like `map`, lazily: answers in order, as they come; the input may be endless.

        Args:
            *args: the messages, as one iterable.
            timeout: as in `map`.
            on_error: as in `map`.
            progress: as in `map`.
            details: as in `map`.
            buffersize: items read from the input beyond what was yielded; if not given, as many
                as keep the workers busy.
            echo: as in `map`; it is shown when the next answer is asked for.
            chunksize: as in `map`.
        """
        _note_chunks(chunksize)
        seconds = self._seconds(timeout)
        options = MapOptions(seconds, on_error, progress, details, buffersize, echo=echo)
        return self._lazy_map("imap", args, options)

    def imap_unordered(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        progress: bool | str = False,
        details: bool = False,
        buffersize: int | None = None,
        echo: bool = False,
        chunksize: int | None = None,
    ) -> Iterator[Any]:
        """Like `imap`, but each answer as soon as it is there, in any order."""
        _note_chunks(chunksize)
        seconds = self._seconds(timeout)
        options = MapOptions(
            seconds, on_error, progress, details, buffersize, ordered=False, echo=echo
        )
        return self._lazy_map("imap_unordered", args, options)

    def _lazy_map(self, method: str, args: tuple[Any, ...], options: MapOptions) -> Iterator[Any]:
        items = self._form.many(method, args)
        self._engine.require_open()
        return LazyMap(self._engine, items, options).results(bar=not self._is_on_show)

    async def acall(self, /, *args: Any, **kwargs: Any) -> Any:
        """Like `call`, for asyncio: awaits the answer, and never blocks the event loop.

        When the awaiting task is cancelled, the item is too; if it runs, its worker is replaced.
        """
        from processpool.api.async_maps import acall

        request = self._packed(self._form.single("acall", args, kwargs))
        self._engine.require_open()
        wait = self.config.queue.when_full == "wait"
        return await acall(self._engine, request, self._timeout, wait=wait)

    def aimap(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        details: bool = False,
        buffersize: int | None = None,
    ) -> AsyncIterator[Any]:
        """Like `imap`, for asyncio: `async for answer in pool.aimap(...)`, in order.

        The input may be endless, and asynchronous. Leaving the loop early stops what has not
        started; cancelling the task ends running items as well.

        Args:
            *args: as of `imap`.
            timeout: as in `map`.
            on_error: as in `map`.
            details: as in `map`.
            buffersize: as in `imap`.
        """
        from processpool.api.async_maps import aimap

        seconds = self._seconds(timeout)
        options = MapOptions(seconds, on_error, details=details, buffersize=buffersize)
        self._engine.require_open()
        return aimap(self._engine, self._form, args, options)

    def _seconds(self, timeout: float | str | EllipsisType | None) -> float | None:
        """What `timeout=` of a map means."""
        return self.config.timeouts.request if timeout is ... else bounded(timeout, "timeout")


@cache
def _tell_of_chunks() -> None:
    log.info("chunksize has no effect: fast items travel together by themselves")


def _note_chunks(chunksize: int | None) -> None:
    """Whoever comes from another pool may be used to give it."""
    if chunksize is not None:
        _tell_of_chunks()
