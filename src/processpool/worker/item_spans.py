"""The span of the running item; imported only where the user's code has imported OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context, propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from processpool.wire.python.pickling import loads
from processpool.worker.current import current_worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from opentelemetry.context import Context

    from processpool.worker.current import Item

    End = Callable[[Any], None]
    """Called at the end of an item with what it has raised, as `describe` has it, or None."""

NAME = "processpool"
"""The name of the tracer."""


def item_span(
    carrier: bytes, item: Callable[[], Item], follow: Callable[[End], None] | None
) -> ItemSpan:
    """Return what stands for the spans of items that are below the same one.

    Args:
        carrier: what names that: as `TRACEPARENT` does, or pickled, as the propagators wrote it.
        item: returns the index and the attempt of the running item.
        follow: has a function called when that ends.
    """
    if carrier.startswith(b"00-"):
        named = {"traceparent": carrier.decode()}
        return ItemSpan(TraceContextTextMapPropagator().extract(named), item, follow)
    return ItemSpan(propagate.extract(loads(carrier)), item, follow)


class ItemSpan(trace.Span):
    """Stands for the span of the running item, which begins when somebody asks for it.

    It ends with the item: that is then not answered in a run, but by itself.
    """

    def __init__(
        self,
        parent: Context,
        item: Callable[[], Item],
        follow: Callable[[End], None] | None,
    ) -> None:
        self._parent = parent
        self._item = item
        self._follow = follow
        self._real: trace.Span | None = None
        self._token: Token[Context] | None = None
        self._call: object = None
        self._first = self._began = 0

    def attach(self, call: object, first: int, began: int) -> None:
        """Make it the current span of a request, whose first item has begun at this time.

        Its items call `call`. When another item has begun is not known: its span begins when
        somebody asks for it.
        """
        self._call, self._first, self._began = call, first, began
        self._token = context.attach(trace.set_span_in_context(self, self._parent))

    def leave(self, error: BaseException | None) -> None:
        """The request has ended: it is the current span no more."""
        self._close(error and (None, type(error).__name__, error))
        if self._token is not None:
            context.detach(self._token)

    def _begun(self) -> trace.Span:
        """Return the span of the running item; the trace itself if none is running."""
        if self._real is not None:
            return self._real
        index, attempt = self._item()
        if index is None or attempt is None:
            return trace.get_current_span(self._parent)
        attributes: dict[str, str | int] = {"processpool.item.index": index}
        if attempt > 1:
            attributes["processpool.item.attempt"] = attempt
        worker = current_worker()
        if worker is not None:
            attributes["processpool.pool"] = worker.pool
            attributes["processpool.worker.id"] = worker.worker
        self._real = trace.get_tracer(NAME).start_span(
            f"run {getattr(self._call, '__name__', type(self._call).__name__)}",
            self._parent,
            SpanKind.CONSUMER,
            attributes,
            start_time=self._began if index == self._first else None,
        )
        if self._follow is not None:
            self._follow(self._close)
        return self._real

    def _close(self, raised: Any) -> None:
        span, self._real = self._real, None
        if span is not None:
            if raised is not None:
                span.set_status(Status(StatusCode.ERROR, f"{raised[1]}: {raised[2]}"))
            span.end()

    # -- what a span can do, done by that of the item ----------------------------------------------

    def get_span_context(self) -> trace.SpanContext:
        """Return the identity of the item's span."""
        return self._begun().get_span_context()

    def is_recording(self) -> bool:
        """Return whether the item's span keeps what it is told."""
        return self._begun().is_recording()

    def end(self, end_time: int | None = None) -> None:
        """Do nothing: it ends with its item."""

    def set_attributes(self, attributes: Any) -> None:
        """Set attributes of the item's span."""
        self._begun().set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Set an attribute of the item's span."""
        self._begun().set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Add an event to the item's span."""
        self._begun().add_event(name, attributes, timestamp)

    def add_link(self, context: trace.SpanContext, attributes: Any = None) -> None:
        """Add a link to the item's span."""
        self._begun().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Rename the item's span."""
        self._begun().update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Set the status of the item's span."""
        self._begun().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an exception in the item's span."""
        self._begun().record_exception(exception, attributes, timestamp, escaped)
