"""Single requests, and the spans that they are in: one of its own, one of many, or none."""

from __future__ import annotations

from functools import partial
from threading import Lock
from time import time_ns
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.trace import Status, StatusCode

from processpool.api.timing import Watch, has_failed, timing_of
from processpool.otel.below import Below

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry import trace
    from opentelemetry.context import Context

    from processpool.api.futures import PoolFuture
    from processpool.core.jobs import Timing
    from processpool.otel.below import Traceable
    from processpool.otel.reporter import Reporter

LONG = 5_000_000
"""Nanoseconds from which on a call in a run has a span of its own."""
MOST_SHOWN = 20
"""Failed requests of a run that have spans of their own."""

Args = tuple[Any, ...]
Keywords = dict[str, Any]


class Asked(Protocol):
    """Makes requests, in a span."""

    is_open: bool
    """True if more requests may be in it."""

    def call(self, pool: Traceable, args: Args, kwargs: Keywords) -> Any:
        """Call a pool."""

    async def acall(self, pool: Traceable, args: Args, kwargs: Keywords) -> Any:
        """Call a pool, for asyncio."""

    def submit(self, pool: Traceable, args: Args, kwargs: Keywords) -> PoolFuture[Any]:
        """Submit something to a pool."""

    def close(self) -> None:
        """No more requests come."""


class Quiet:
    """Requests that nobody records, as there is no provider, or a sampler has said so."""

    is_open = True

    def __init__(self, reporter: Reporter, span: trace.Span, context: Context) -> None:
        self._below = Below(span, context, travels=reporter.travels)

    def call(self, pool: Traceable, args: Args, kwargs: Keywords) -> Any:
        """Call a pool."""
        return self._below.view(pool).call(*args, **kwargs)

    async def acall(self, pool: Traceable, args: Args, kwargs: Keywords) -> Any:
        """Call a pool, for asyncio."""
        return await self._below.view(pool).acall(*args, **kwargs)

    def submit(self, pool: Traceable, args: Args, kwargs: Keywords) -> PoolFuture[Any]:
        """Submit something to a pool."""
        return self._below.view(pool).submit(*args, **kwargs)

    def close(self) -> None:
        """Nothing was recorded."""
        self.is_open = False


class Single:
    """One request, in a span of its own."""

    is_open = False

    def __init__(self, reporter: Reporter, span: trace.Span, context: Context) -> None:
        self._reporter = reporter
        self._span = span
        self._below = Below(span, context, travels=reporter.travels)
        self._began = time_ns()

    def call(self, pool: Traceable, args: Args, kwargs: Keywords) -> Any:
        """Call a pool."""
        try:
            value = self._below.view(pool).call(*args, **kwargs)
        except BaseException as error:
            self._end(error)
            raise
        self._end()
        return value

    async def acall(self, pool: Traceable, args: Args, kwargs: Keywords) -> Any:
        """Call a pool, for asyncio."""
        try:
            value = await self._below.view(pool).acall(*args, **kwargs)
        except BaseException as error:
            self._end(error)
            raise
        self._end()
        return value

    def submit(self, pool: Traceable, args: Args, kwargs: Keywords) -> PoolFuture[Any]:
        """Submit something to a pool."""
        try:
            future = self._below.view(pool).submit(*args, **kwargs)
        except BaseException as error:
            self._end(error)
            raise
        Watch(self._note_end).watch(future)
        return future

    def close(self) -> None:
        """Its span ends with the request."""

    def _end(self, error: BaseException | None = None) -> None:
        if error is not None:
            tell_error(self._span, error)
        self._span.end()
        self._reporter.meters.ran_one(self._reporter.attributes, seconds_since(self._began), 0.0)

    def _note_end(self, future: PoolFuture[Any]) -> None:
        """It has ended, on a thread that others wait for: pass it on later."""
        self._reporter.endings.put(partial(self._end_request, timing_of(future), time_ns()))

    def _end_request(self, timing: Timing | None, at: int) -> None:
        tell_timing(self._span, timing)
        if timing is not None:
            meters, attributes = self._reporter.meters, self._reporter.attributes
            meters.ran_one(attributes, timing.seconds, timing.queued)
        self._span.end(at)


class Run:
    """Requests of one thread that come so fast that they share a span.

    It ends when no more join it, and the last has ended. That is decided where spans end, a moment
    after it was closed: then a request that was about to join it has joined.
    """

    def __init__(self, reporter: Reporter, span: trace.Span, context: Context, name: str) -> None:
        """`name` is what one request is called."""
        self.is_open = True
        self._reporter = reporter
        self._span = span
        self._name = name
        self._below = Below(span, context, travels=reporter.travels)
        self._lock = Lock()
        """Of `_done`, as submitted requests end on any thread."""
        self._begun = self._done = self._failed = 0
        self._busy = 0
        """Nanoseconds, of all calls."""
        self._until = 0
        self._is_ending = False
        self._watch = Watch(self._note_end)

    def call(self, pool: Traceable, args: Args, kwargs: Keywords) -> Any:
        """Call a pool."""
        below = self._below  # what `view` does, without calling it
        view = below.known if below.pool is pool else below.view(pool)
        began = time_ns()
        self._begun += 1
        try:
            value = view.call(*args, **kwargs)
        except BaseException as error:
            self._note(began, error)
            raise
        self._note_value(began)
        return value

    async def acall(self, pool: Traceable, args: Args, kwargs: Keywords) -> Any:
        """Call a pool, for asyncio."""
        began = time_ns()
        self._begun += 1
        try:
            value = await self._below.view(pool).acall(*args, **kwargs)
        except BaseException as error:
            self._note(began, error)
            raise
        self._note_value(began)
        return value

    def _note_value(self, began: int) -> None:
        """A call that began then has just returned."""
        self._until = now = time_ns()
        self._busy += now - began
        self._done += 1
        if now - began >= LONG or self._is_ending:
            self._note_long(began, now)

    def submit(self, pool: Traceable, args: Args, kwargs: Keywords) -> PoolFuture[Any]:
        """Submit something to a pool."""
        began = time_ns()
        self._begun += 1
        try:
            future = self._below.view(pool).submit(*args, **kwargs)
        except BaseException as error:
            self._note(began, error)
            raise
        self._watch.watch(future)
        return future

    def close(self) -> None:
        """Nothing joins it any more."""
        self.is_open = False
        self._reporter.endings.put(self._settle)

    def _settle(self) -> None:
        """What was about to join it has joined: end it now, or when the last request ends."""
        self._is_ending = True
        self._end_if_over()

    def _note(self, began: int, error: BaseException) -> None:
        """A call has failed."""
        self._until = now = time_ns()
        self._failed += 1
        self._done += 1
        if self._failed <= MOST_SHOWN:
            self._show(began, now, partial(tell_error, error=error))
        if self._is_ending:
            self._reporter.endings.put(self._end_if_over)

    def _note_long(self, began: int, now: int) -> None:
        """A call has ended that took long, or that this waits for."""
        if now - began >= LONG and self._reporter.allowance.take():
            self._show(began, now)
        if self._is_ending:
            self._reporter.endings.put(self._end_if_over)

    def _note_end(self, future: PoolFuture[Any]) -> None:
        """A submitted request has ended, on a thread that others wait for."""
        self._until = now = time_ns()
        with self._lock:
            self._done += 1
        if has_failed(future):
            self._reporter.endings.put(partial(self._show_failed, now, timing_of(future)))
        if self._is_ending:
            self._reporter.endings.put(self._end_if_over)

    def _show_failed(self, now: int, timing: Timing | None) -> None:
        self._failed += 1
        if self._failed <= MOST_SHOWN:
            seconds = 0.0 if timing is None else timing.queued + timing.seconds
            self._show(now - int(seconds * 1e9), now, partial(tell_timing, timing=timing))

    def _show(self, began: int, now: int, tell: Callable[[trace.Span], None] | None = None) -> None:
        """Give a request a span of its own after all, below this one."""
        span = self._reporter.start(self._name, self._below.context, began)
        if tell is not None:
            tell(span)
        span.end(now)

    def _end_if_over(self) -> None:
        if self._done != self._begun or not self._span.is_recording():
            return
        span, count = self._span, self._begun
        if count == 1:
            span.update_name(self._name)
        else:
            span.set_attribute("processpool.items", count)
        if self._failed:
            span.set_attribute("processpool.items.failed", self._failed)
            span.set_status(Status(StatusCode.ERROR))
        if self._busy:
            each = self._busy / count / 1e9
            self._reporter.meters.ran(self._reporter.attributes, each, 0.0)
        span.end(self._until)


def seconds_since(began: int) -> float:
    """Return how long ago this was, in nanoseconds since the epoch."""
    return (time_ns() - began) / 1e9


def tell_error(span: trace.Span, error: BaseException) -> None:
    """Say on a span what its request has raised, and where."""
    record = getattr(error, "record", None)
    if record is not None and record.worker_id:
        span.set_attribute("processpool.worker.id", record.worker_id)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


def tell_timing(span: trace.Span, timing: Timing | None) -> None:
    """Say on a span where its request ran; None if it never did."""
    if timing is None:
        span.set_status(Status(StatusCode.ERROR, "it never ran"))
        return
    span.set_attributes(
        {
            "processpool.worker.id": timing.worker_id,
            "processpool.worker.pid": timing.pid,
            "processpool.item.wait": timing.queued,
            "processpool.item.attempt": timing.attempts,
        }
    )
    if timing.error:
        span.set_status(Status(StatusCode.ERROR, timing.error))
