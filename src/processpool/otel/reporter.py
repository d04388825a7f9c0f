"""Where the spans and durations of one pool's requests go."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context

    from processpool.otel.allowance import Allowance
    from processpool.otel.endings import Endings
    from processpool.otel.metrics import Meters


class Reporter(NamedTuple):
    """What makes and ends spans, and what may be reported."""

    tracer: trace.Tracer
    attributes: dict[str, str]
    """Those of all spans."""
    meters: Meters
    endings: Endings
    allowance: Allowance
    """Of spans for single requests."""
    travels: bool
    """True if workers are told which span an item is below."""

    def start(self, name: str, context: Context | None = None, at: int | None = None) -> trace.Span:
        """Return a new span, below the current one unless a context is given."""
        return self.tracer.start_span(
            name, context, SpanKind.PRODUCER, self.attributes, start_time=at
        )
