"""What the workers of traced pools do."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def export_in_memory() -> None:
    """In a worker: keep the spans that end here."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    exported.append(exporter)


exported: list[InMemorySpanExporter] = []


class Ended(NamedTuple):
    """A span that has ended in a worker."""

    name: str
    trace_id: int
    span_id: int
    parent: int
    item: Any
    error: str | None
    seconds: float


def ended_here() -> list[Ended]:
    """In a worker: the spans that have ended since the last look."""
    found = [
        Ended(
            span.name,
            span.context.trace_id if span.context else 0,
            span.context.span_id if span.context else 0,
            span.parent.span_id if span.parent else 0,
            dict(span.attributes or {}).get("processpool.item.index"),
            span.status.description,
            ((span.end_time or 0) - (span.start_time or 0)) / 1e9,
        )
        for span in exported[0].get_finished_spans()
    ]
    exported[0].clear()
    return found


def with_span(x: int) -> int:
    with trace.get_tracer("mine").start_as_current_span(f"inner {x}"):
        return x


def at_three(x: int) -> int:
    return with_span(x) if x == 3 else x


def slowly(x: int) -> int:
    time.sleep(0.02)
    return x


def long_nap() -> None:
    time.sleep(0.3)


def late_span(x: int) -> int:
    time.sleep(0.05)
    return with_span(x)


def fail_at_one(x: int) -> int:
    if x == 1:
        raise ValueError("not this one")
    return x


def fail_within(x: int) -> int:
    trace.get_current_span().set_attribute("seen", x)
    raise KeyError(x)


def span_of_now() -> tuple[int, int, bool]:
    context = trace.get_current_span().get_span_context()
    return context.trace_id, context.span_id, context.is_valid


def die(x: int) -> int:
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x
