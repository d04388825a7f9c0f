"""What names a span, for workers: whatever the global propagators write, and what programs read."""

from __future__ import annotations

from pickle import dumps
from typing import TYPE_CHECKING

from opentelemetry import propagate, trace

from processpool.wire.python.functions import Function, Task

if TYPE_CHECKING:
    from opentelemetry.context import Context

MOST = 1024
"""Bytes of a carrier; of a longer one, such as with much baggage, only the trace travels."""
TRACE_KEYS = ("traceparent", "tracestate")
"""The keys that say which trace it is."""


def carrier_of(context: Context | None = None) -> bytes:
    """Return what names the context's span for Python workers; empty if it is in no trace."""
    if not trace.get_current_span(context).get_span_context().is_valid:
        return b""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context)
    packed = dumps(carrier)
    if len(packed) > MOST:
        packed = dumps({key: carrier[key] for key in TRACE_KEYS[:1] if key in carrier})
    return packed


def traceparent(span: trace.Span) -> bytes:
    """Return the span as the variable TRACEPARENT names it; empty if it is in no trace."""
    context = span.get_span_context()
    if not context.is_valid:
        return b""
    return b"00-%032x-%016x-%02x" % (context.trace_id, context.span_id, context.trace_flags)


def within(task: Task | None, context: Context | None = None) -> Task | None:
    """Return a task whose items are below the context's span; the same one if none is there.

    Only functions that worker processes of this machine know can be asked for that.
    """
    if task is None or type(task.function) is not Function:
        return task
    carrier = carrier_of(context)
    return task.within(carrier) if carrier else task
