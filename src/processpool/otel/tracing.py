"""What a pool reports, and where to: the spans of its maps and requests, and its metrics.

A map has a span, below the one that is current where it begins. Its items are shown by the record
that is kept of every map anyway: a span for each stretch of time in which a worker had items, which
fast ones share. They are made when the map has ended, so that telemetry costs its items nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from heapq import nlargest
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from processpool.core.events import PoolClosedDown
from processpool.otel.carriers import traceparent, within
from processpool.otel.endings import Endings
from processpool.otel.metrics import NAME, POOL, meters_of

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from processpool.api.view import Followed, PoolView
    from processpool.core.events import Event
    from processpool.core.jobs import Timing
    from processpool.core.run_record import RunRecord
    from processpool.core.run_totals import Stretch

SPANS_PER_SECOND, FEWEST_SPANS, MOST_SPANS = 200, 20, 1000
"""Spans of items below that of one map: so many for each second of its workers' time, which bounds
what they cost, but at least some and never too many for a batch of an exporter. Of more stretches,
the failed and the longest are shown."""
MOST_ERRORS = 10
"""Kinds of errors that the span of a map tells."""
_IN_CALL = contexts.create_key("processpool-call")


class Tracing:
    """What one pool reports; it follows the pool's maps."""

    shows = False
    """It is no display."""

    def __init__(
        self,
        pool: PoolView,
        tracer_provider: trace.TracerProvider | None,
        meter_provider: MeterProvider | None,
    ) -> None:
        """Follow the pool, and report to these providers, or to the global ones."""
        self._attributes = {POOL: pool.name}
        self._tracer = trace.get_tracer(NAME, tracer_provider=tracer_provider)
        self._meters = meters_of(meter_provider)
        self._meters.watch(pool)
        self._spans: dict[int, trace.Span] = {}
        """By number, those of the running maps."""
        self._endings = Endings()
        self._travels = pool.config.backend.kind == "local" and not pool.config.inline
        pool.follow(self)
        pool.events(self._note, items=False)

    def _note(self, event: Event) -> None:
        if type(event) is PoolClosedDown:
            self._endings.flush()

    # -- single requests -------------------------------------------------------------------------

    def calling(self, name: str) -> Calling:
        """Return the context of a `call` or `acall`, whose span ends with it."""
        return Calling(self._start(f"call {name}"))

    def submitting(self, name: str) -> trace.Span | None:
        """Return the span of a request that was begun; None within a `call`, which has one."""
        return None if contexts.get_value(_IN_CALL) else self._start(f"submit {name}")

    def submitted(self, span: trace.Span, timing: Timing | None) -> None:
        """A request has ended; `timing` is None if it never ran. This returns at once."""
        self._endings.put(partial(self._end_request, span, timing, time_ns()))

    def _end_request(self, span: trace.Span, timing: Timing | None, at: int) -> None:
        if timing is None:
            span.set_status(Status(StatusCode.ERROR, "it never ran"))
        else:
            span.set_attributes(
                {
                    "processpool.worker.id": timing.worker_id,
                    "processpool.worker.pid": timing.pid,
                    "processpool.item.queued": timing.queued,
                    "processpool.item.attempt": timing.attempts,
                }
            )
            if timing.error:
                span.set_status(Status(StatusCode.ERROR, timing.error))
            self._meters.ran_one(self._attributes, timing.seconds, timing.queued)
        span.end(at)

    def _start(self, name: str) -> trace.Span:
        return self._tracer.start_span(name, kind=SpanKind.PRODUCER, attributes=self._attributes)

    def within(self, task: Any, span: trace.Span | None = None) -> Any:
        """Return a task whose items are below a span, or the current one."""
        if not self._travels:
            return task
        return within(task, None if span is None else trace.set_span_in_context(span))

    # -- maps ------------------------------------------------------------------------------------

    def began(self, run: Followed) -> None:
        """A map has begun, on this thread: its items are below its span."""
        span = self._start(f"map {run.label}")
        span.set_attribute("processpool.map.id", run.number)
        self._spans[run.number] = span
        run.task = self.within(run.task, span)
        run.terms = replace(run.terms, within=traceparent(span))

    def ended(self, run: Followed) -> None:
        """A map has ended: make the spans of its items, and end its own."""
        span = self._spans.pop(run.number, None)
        if span is not None:
            self._end(span, run.look())

    def left(self, run: Followed) -> None:
        """A map was left early: what ends its span may take locks, so that is for later."""
        self._endings.put_quietly(partial(self.ended, run))

    def _end(self, span: trace.Span, record: RunRecord) -> None:
        stretches = list(record.stretches())
        busy = sum(stretch.until - stretch.since for stretch in stretches)
        most = min(max(round(SPANS_PER_SECOND * busy), FEWEST_SPANS), MOST_SPANS)
        for stretch in stretches[:: -(-len(stretches) // most) or 1]:
            self._meters.ran(self._attributes, stretch.each, stretch.wait)
        end = _wall(record, record.began if record.ended is None else record.ended)
        if span.is_recording():
            shown = stretches
            if len(stretches) > most:
                shown = nlargest(most, stretches, key=_weight)
            below = trace.set_span_in_context(span)
            for stretch in shown:
                self._show(stretch, record, below)
            _sum_up(span, record, len(stretches) - len(shown), end)
        span.end(end)

    def _show(self, stretch: Stretch, record: RunRecord, below: contexts.Context) -> None:
        attributes = {
            "processpool.worker.id": stretch.worker_id,
            "processpool.worker.slot": stretch.slot,
            "processpool.item.index": stretch.first,
            "processpool.item.queued": stretch.wait,
        }
        name = "item"
        if stretch.items > 1:
            name = "items"
            attributes["processpool.items"] = stretch.items
        begin = _wall(record, stretch.since)
        span = self._tracer.start_span(name, below, attributes=attributes, start_time=begin)
        if stretch.failed:
            span.set_attribute("processpool.items.failed", stretch.failed)
            span.set_status(Status(StatusCode.ERROR))
        span.end(_wall(record, stretch.until))


class Calling:
    """The context of a call: its span is the current one, and ends with it."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        context = contexts.set_value(_IN_CALL, True, trace.set_span_in_context(self._span))
        self._token = contexts.attach(context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        contexts.detach(self._token)
        if error is not None:
            record = getattr(error, "record", None)
            if record is not None and record.worker_id:
                self._span.set_attribute("processpool.worker.id", record.worker_id)
            self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        self._span.end()


def _sum_up(span: trace.Span, record: RunRecord, hidden: int, at: int) -> None:
    """Say on the span of a map how it has ended."""
    span.set_attributes(
        {
            "processpool.items": record.done,
            "processpool.items.failed": record.failed,
            "processpool.items.cancelled": record.cancelled,
        }
    )
    if hidden:
        span.set_attribute("processpool.spans.left_out", hidden)
    for group in record.errors.largest_first()[:MOST_ERRORS]:
        kind, _, message = group.message.partition(": ")
        told: dict[str, str | int] = {
            "exception.type": kind,
            "exception.message": message,
            "processpool.item.index": group.index,
            "processpool.items": group.count,
        }
        span.add_event("exception", told, at)
    if record.why:
        span.set_status(Status(StatusCode.ERROR, record.why))


def _weight(stretch: Stretch) -> tuple[bool, float]:
    return stretch.failed > 0, stretch.until - stretch.since


def _wall(record: RunRecord, at: float) -> int:
    """Return a monotonic time as nanoseconds since the epoch."""
    return int((record.began_at + at - record.began) * 1e9)
