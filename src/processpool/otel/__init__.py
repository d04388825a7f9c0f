"""Traces and metrics of pools for OpenTelemetry: `pip install 'processpool[otel]'`.

Either the pool declares it, `telemetry: {otel: true}`, or the program says so:

    import processpool.otel

    processpool.otel.instrument(pool)

What is reported goes to the global providers, which the program, or `opentelemetry-instrument` by
the variables `OTEL_…`, has set up; without any, nothing is.

    caller's span ─▶ map ─▶ items: by whom, when     (exported by this process)
                      └───▶ run ─▶ the function's    (exported by its worker)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    import opentelemetry.trace  # noqa: F401 - other packages share the name above it
except ImportError as error:
    raise ImportError(
        f"{error}: telemetry needs OpenTelemetry; install it with pip install 'processpool[otel]'"
    ) from error

from processpool.otel.pool import traced_class
from processpool.otel.tracing import SPANS_PER_SECOND, Tracing

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from processpool.api.pool import ProcessPool

__all__ = ["instrument"]


def instrument(
    pool: ProcessPool,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    spans_per_second: float = SPANS_PER_SECOND,
) -> None:
    """Report the maps and requests of a pool from now on; a second time, this changes nothing.

    Args:
        pool: the pool, open or not. Views of it made before, by `options`, stay as they are.
        tracer_provider: where traces go, instead of the global one.
        meter_provider: where metrics go, instead of the global one.
        spans_per_second: how many requests have a span of their own, and how many items of maps,
            for each second that workers spend on them. Those beyond share spans, which say in the
            attribute `processpool.items` how many they stand for; some short items of maps have
            none, and the map says how many in `processpool.items.left_out`.
    """
    kind = traced_class(type(pool))
    if type(pool) is not kind:
        tracing = Tracing(pool, tracer_provider, meter_provider, spans_per_second)
        pool.__class__ = kind
        vars(pool)["reporting"] = tracing
