"""What a pool reports, and where to: the spans of its maps and requests, and its metrics.

A map has a span, below the one that is current where it begins. Its items are shown by the record
that is kept of every map anyway: a span for each stretch of time in which a worker had items, which
fast ones share. They are made when the map has ended, so that telemetry costs its items nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from heapq import nlargest
from typing import TYPE_CHECKING

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from processpool.core.events import PoolClosedDown
from processpool.otel.allowance import Allowance
from processpool.otel.carriers import traceparent, within
from processpool.otel.endings import Endings
from processpool.otel.metrics import NAME, POOL, meters_of
from processpool.otel.reporter import Reporter
from processpool.otel.requests import Requests

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from processpool.api.view import Followed, PoolView
    from processpool.core.events import Event
    from processpool.core.run_record import RunRecord
    from processpool.core.run_totals import Stretch

SPANS_PER_SECOND, FEWEST_SPANS, MOST_SPANS = 100, 20, 1000
"""Spans of single requests in a second; and those of items below that of one map, for each second
of its workers' time, which bounds what they cost: never too many for a batch of an exporter, and at
least some, unless there are very many maps. Of more stretches, the failed and the longest are
shown."""
SPANS_LEFT_OUT, ITEMS_LEFT_OUT = "processpool.spans.left_out", "processpool.items.left_out"
"""Attributes of a map: spans that were not made of its stretches, and the items of these."""
MOST_ERRORS = 10
"""Kinds of errors that the span of a map tells."""


class Tracing:
    """What one pool reports; it follows the pool's maps."""

    shows = False
    """It is no display."""

    def __init__(
        self,
        pool: PoolView,
        tracer_provider: trace.TracerProvider | None,
        meter_provider: MeterProvider | None,
        spans_per_second: float = SPANS_PER_SECOND,
    ) -> None:
        """Follow the pool, and report to these providers, or to the global ones."""
        self._rate = spans_per_second
        self._attributes = {POOL: pool.name}
        self._tracer = trace.get_tracer(NAME, tracer_provider=tracer_provider)
        self._meters = meters_of(meter_provider)
        self._meters.watch(pool)
        self._spans: dict[int, trace.Span] = {}
        """By number, those of the running maps."""
        self._endings = Endings()
        self._travels = pool.config.backend.kind == "local" and not pool.config.inline
        self._allowance = Allowance(spans_per_second)
        """Spans for the items of maps that are too short to have earned any."""
        self.requests = Requests(
            Reporter(
                self._tracer,
                self._attributes,
                self._meters,
                self._endings,
                Allowance(spans_per_second),
                self._travels,
            )
        )
        pool.follow(self)
        pool.events(self._note, items=False)

    def _note(self, event: Event) -> None:
        if type(event) is PoolClosedDown:
            self._endings.flush()

    # -- maps ------------------------------------------------------------------------------------

    def began(self, run: Followed) -> None:
        """A map has begun, on this thread: its items are below its span."""
        self._endings.wake()
        attributes: dict[str, str | int] = {**self._attributes, "processpool.map.id": run.number}
        kind, name = SpanKind.PRODUCER, f"map {run.label}"
        span = self._tracer.start_span(name, kind=kind, attributes=attributes)
        self._spans[run.number] = span
        if self._travels:
            run.task = within(run.task, trace.set_span_in_context(span))
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
        few = self._allowance.take(min(len(stretches), FEWEST_SPANS))
        most = min(max(round(self._rate * busy), few), MOST_SPANS)
        for stretch in stretches[:: -(-len(stretches) // most) or 1] if most else ():
            self._meters.ran(self._attributes, stretch.each, stretch.wait)
        end = _wall(record, record.began if record.ended is None else record.ended)
        if span.is_recording():
            shown = stretches
            if len(stretches) > most:
                shown = nlargest(most, stretches, key=_weight)
            below = trace.set_span_in_context(span)
            for stretch in shown:
                self._show(stretch, record, below)
            hidden = len(stretches) - len(shown)
            if hidden:
                items = record.done - sum(stretch.items for stretch in shown)
                left_out = {SPANS_LEFT_OUT: hidden, ITEMS_LEFT_OUT: items}
                span.set_attributes(left_out)
            _sum_up(span, record, end)
        span.end(end)

    def _show(self, stretch: Stretch, record: RunRecord, below: contexts.Context) -> None:
        attributes = {
            "processpool.worker.id": stretch.worker_id,
            "processpool.worker.slot": stretch.slot,
            "processpool.item.index": stretch.first,
            "processpool.item.wait": stretch.wait,
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


def _sum_up(span: trace.Span, record: RunRecord, at: int) -> None:
    """Say on the span of a map how it has ended."""
    span.set_attributes(
        {
            "processpool.items": record.done,
            "processpool.items.failed": record.failed,
            "processpool.items.cancelled": record.cancelled,
        }
    )
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
