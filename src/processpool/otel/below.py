"""A pool whose requests are below a span: workers are told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry import trace

from processpool.core.terms import TracedMessage
from processpool.otel.carriers import carrier_of, traceparent
from processpool.wire.python.functions import Function

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from processpool.api.call_forms import Call, Form, Items
    from processpool.api.pool import ProcessPool
    from processpool.wire.python.functions import Request, Task


class Traceable(Protocol):
    """A pool that knows itself as it is when nothing is traced."""

    def untraced(self, context: Context | None) -> ProcessPool:
        """Return a view that reports nothing; its items are below the span of this context."""

    def called(self, what: str) -> str:
        """Return the name of what is called, for which a function's qualified name is given."""


class Below:
    """A span, and pools whose requests are below it."""

    def __init__(self, span: trace.Span, context: Context, *, travels: bool) -> None:
        """`context` is what the span was started in; `travels`: workers are to be told of it."""
        self.context = trace.set_span_in_context(span, context)
        self._is_told = travels and span.get_span_context().is_valid
        self.pool: Traceable | None = None
        """The pool that was last asked for."""
        self.known: ProcessPool
        """The view of that."""

    def view(self, pool: Traceable) -> ProcessPool:
        """Return a view of a pool whose requests are below the span, and have none themselves."""
        if self.pool is not pool:
            self.known = pool.untraced(self.context if self._is_told else None)
            self.pool = pool
        return self.known


class FormBelow:
    """The form of a pool whose items are below a span."""

    def __init__(self, form: Form, context: Context) -> None:
        self._context = context
        self._pack = form.pack
        self.single = form.single
        self._known: Task | None = None
        self._within: Task | None = None
        self._carrier = b""
        self._traceparent = b""

    def pack(self, call: Call) -> Request:
        """Return an item as it travels."""
        payload, task = self._pack(call)
        if task is self._known and task is not None:
            return payload, self._within
        if task is None:
            return self._message(payload), None
        return payload, self._task(task)

    def many(self, method: str, args: tuple[Any, ...]) -> Items:
        """Not for maps, which are traced as a whole."""
        raise NotImplementedError(method)

    def _message(self, payload: tuple[bytes, ...]) -> TracedMessage:
        if not self._traceparent:
            self._traceparent = traceparent(trace.get_current_span(self._context))
        message = TracedMessage(payload)
        message.within = self._traceparent
        return message

    def _task(self, task: Task) -> Task:
        """Return a task as a part of the trace; only functions of local workers can be asked so."""
        if type(task.function) is not Function:
            return task
        self._carrier = self._carrier or carrier_of(self._context)
        self._known, self._within = task, task.within(self._carrier)
        return self._within
