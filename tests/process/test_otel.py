"""Traces and metrics of pools, as the exporters of OpenTelemetry's SDK get them."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import processpool.otel
from processpool import PoolFuture, ProcessPool, WorkerDied
from tests.process.workers.traced import (
    at_three,
    die,
    ended_here,
    export_in_memory,
    fail_at_one,
    fail_within,
    late_span,
    slowly,
    span_of_now,
    with_span,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan


class Telemetry(NamedTuple):
    """Where a test's pools report to."""

    spans: InMemorySpanExporter
    tracers: TracerProvider
    reader: InMemoryMetricReader
    meters: MeterProvider

    def instrument(self, pool: ProcessPool) -> None:
        processpool.otel.instrument(pool, tracer_provider=self.tracers, meter_provider=self.meters)

    def named(self, name: str) -> list[ReadableSpan]:
        """The spans of this name that have ended, in the order of their beginning."""
        found = [span for span in self.spans.get_finished_spans() if span.name == name]
        return sorted(found, key=lambda span: span.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def points(self, name: str) -> dict[Any, Any]:
        """What a metric says: the points, by the value of their attribute besides the pool."""
        data = self.reader.get_metrics_data()
        assert data is not None
        found: dict[Any, Any] = {}
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points if metric.name == name else ():
                        attributes = dict(point.attributes or {})
                        assert attributes.pop("processpool.pool") == "traced"
                        found[next(iter(attributes.values()), None)] = point
        return found


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    yield Telemetry(spans, tracers, reader, meters)
    meters.shutdown()
    tracers.shutdown()


@pytest.fixture
def pool(telemetry: Telemetry) -> Iterator[ProcessPool]:
    with ProcessPool(name="traced", max_workers=1, setup=export_in_memory) as pool:
        telemetry.instrument(pool)
        yield pool


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    number: int = span.parent.span_id
    return number


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    number: int = span.context.span_id
    return number


_ONESHOT = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from processpool import ProcessPool

memory = InMemorySpanExporter()
tracers = TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(tracers)

def named(kind, value):
    _, of_trace, of_span, _ = value.strip().split("-")
    print(f"{kind}={of_trace}:{of_span}")

with ProcessPool(**eval(sys.argv[1])) as pool:
    for said in pool.map(["it is", "it is"]):
        named("map", said)
    named("one", pool.submit("it is").result())
    named("one", pool.call("it is"))
runs = [s for s in memory.get_finished_spans() if s.name.startswith(("map", "submit"))]
for span in sorted(runs, key=lambda span: span.start_time):
    print(f"{span.context.trace_id:032x}:{span.context.span_id:016x}")
"""
"""A program that prints what processes were told, and then which spans there were."""


class TestMaps:
    def test_a_map_is_below_its_callers_span(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        with telemetry.tracers.get_tracer("app").start_as_current_span("caller"):
            pool.map(slowly, range(4))
        run, items = telemetry.one("map slowly"), telemetry.named("item")
        assert parent_of(run) == id_of(telemetry.one("caller"))
        assert [span.attributes["processpool.item.index"] for span in items if span.attributes] == [
            0, 1, 2, 3,
        ]  # fmt: skip
        assert {parent_of(span) for span in items} == {id_of(run)}
        for span in items:
            assert run.start_time <= span.start_time < span.end_time <= run.end_time  # type: ignore[operator]
            assert (span.end_time or 0) - (span.start_time or 0) >= 0.02e9
        assert run.attributes is not None
        assert run.attributes["processpool.items"] == 4

    def test_fast_items_share_spans(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        pool.map(abs, range(100_000))
        spans = [*telemetry.named("items"), *telemetry.named("item")]
        counts = [span.attributes.get("processpool.items", 1) for span in spans if span.attributes]
        assert sum(counts) == 100_000  # type: ignore[arg-type]
        assert len(spans) <= 1000

    def test_an_error_is_told(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        pool.map(fail_at_one, range(3), on_error="return")
        (event,) = telemetry.one("map fail_at_one").events
        assert event.attributes is not None
        assert event.attributes["exception.type"] == "ValueError"
        assert event.attributes["exception.message"] == "not this one"
        assert event.attributes["processpool.item.index"] == 1

    def test_a_map_that_ends_early_has_failed(
        self, pool: ProcessPool, telemetry: Telemetry
    ) -> None:
        with pytest.raises(ValueError, match="not this one"):
            pool.map(fail_at_one, range(3))
        status = telemetry.one("map fail_at_one").status
        assert not status.is_ok
        assert status.description == "ValueError: not this one"

    def test_one_that_was_left_early_ends_with_the_pool(
        self, pool: ProcessPool, telemetry: Telemetry
    ) -> None:
        answers = pool.imap(abs, range(1000))
        next(answers)
        answers.close()
        assert telemetry.named("map abs") == []
        pool.close()
        assert telemetry.one("map abs").end_time


class TestContextInWorkers:
    def test_a_span_of_the_function_is_below_that_of_its_item(
        self, pool: ProcessPool, telemetry: Telemetry
    ) -> None:
        pool.map(at_three, range(100))
        run = telemetry.one("map at_three")
        inner, item = pool.call(ended_here)
        assert (inner.name, item.name, item.item) == ("inner 3", "item", 3)
        assert inner.parent == item.span_id
        assert item.parent == id_of(run)
        assert inner.trace_id == item.trace_id == run.context.trace_id

    def test_each_item_has_its_own(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        assert pool.map(with_span, range(50)) == list(range(50))
        ended = pool.call(ended_here)
        items = {span.span_id: span for span in ended if span.name == "item"}
        inner = [span for span in ended if span.name != "item"]
        assert [items[span.parent].item for span in inner] == list(range(50))
        assert [span.name for span in inner] == [f"inner {n}" for n in range(50)]

    def test_the_span_of_an_item_covers_what_came_before_the_look(
        self, pool: ProcessPool, telemetry: Telemetry
    ) -> None:
        pool.submit(late_span, 1).result()
        inner, item = pool.call(ended_here)
        assert item.seconds >= 0.05 > inner.seconds

    @pytest.mark.parametrize("ask", ["call", "submit"])
    def test_single_requests(self, pool: ProcessPool, telemetry: Telemetry, ask: str) -> None:
        asked = getattr(pool, ask)(with_span, 7)
        assert (asked.result() if isinstance(asked, PoolFuture) else asked) == 7
        inner, item = pool.call(ended_here)
        assert inner.parent == item.span_id
        until(lambda: telemetry.named(f"{ask} with_span"))
        assert item.parent == id_of(telemetry.one(f"{ask} with_span"))

    def test_an_error_ends_its_span(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        with pytest.raises(KeyError):
            pool.call(fail_within, 5)
        (item,) = pool.call(ended_here)
        assert item.error == "KeyError: 5"

    def test_untraced_work_is_in_no_trace(self, telemetry: Telemetry) -> None:
        with ProcessPool(max_workers=1, setup=export_in_memory) as pool:
            before = pool.call(span_of_now)
            telemetry.instrument(pool)
            within = pool.call(span_of_now)
            assert before == (0, 0, False)
            assert within[2]

    def test_a_trace_ends_with_its_request(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        first, second = pool.call(span_of_now), pool.submit(span_of_now).result()
        assert first[2]
        assert second[2]
        assert first[0] != second[0]  # each is a trace of its own

    def test_without_an_sdk_in_workers_the_context_is_there(self, telemetry: Telemetry) -> None:
        with ProcessPool(name="traced", max_workers=1) as pool:
            telemetry.instrument(pool)
            with telemetry.tracers.get_tracer("app").start_as_current_span("caller"):
                trace_id, span_id, valid = pool.call(span_of_now)
        call = telemetry.one("call span_of_now")
        assert valid
        assert call.context is not None
        assert (trace_id, span_id) == (call.context.trace_id, call.context.span_id)


class TestSingleRequests:
    def test_a_future_says_who_had_it(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        future = pool.submit(slowly, 1)
        assert future.result() == 1
        until(lambda: telemetry.named("submit slowly"))
        attributes = telemetry.one("submit slowly").attributes
        assert attributes is not None
        assert attributes["processpool.worker.pid"] == future.record.pid  # type: ignore[union-attr]

    def test_a_crash(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        with pytest.raises(WorkerDied):
            pool.submit(die, 2).result()
        until(lambda: telemetry.named("submit die"))
        assert telemetry.one("submit die").status.description == "WorkerDied"

    def test_a_view_reports_too(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        assert pool.options(priority=3).call(abs, -2) == 2
        assert telemetry.one("call abs")


def until(there: Callable[[], object]) -> None:
    """A span ends just after its future, on the thread of the callbacks."""
    end = time.monotonic() + 10
    while not there():
        assert time.monotonic() < end
        time.sleep(0.001)


class TestPrograms:
    @pytest.mark.parametrize(
        "command",
        [
            ["sh", "-c", "read message; printenv TRACEPARENT"],
            ["sh", "-c", 'test "$1" = "$2" && printenv TRACEPARENT', "sh", "{message}", "it is"],
        ],
    )
    def test_a_process_for_one_message_is_told_its_span(self, command: list[str]) -> None:
        """That of its map, or of its own request; the pool reports to the global provider."""
        source = {"command": command, "protocol": "oneshot", "telemetry": {"otel": True}}
        done = subprocess.run(
            [sys.executable, "-c", _ONESHOT, repr(source)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
        )
        of_map, also, of_submit, of_call, *spans = done.stdout.split()
        assert of_map == also == f"map={spans[0]}"
        assert [of_submit, of_call] == [f"one={spans[1]}", f"one={spans[2]}"]

    def test_a_long_lived_program_is_left_alone(self, telemetry: Telemetry) -> None:
        with ProcessPool(command=["cat"], protocol="lines", max_workers=1) as pool:
            telemetry.instrument(pool)
            assert pool.map(["a", "b"]) == ["a", "b"]
            assert pool.call("c") == "c"
        assert telemetry.one("map cat")
        assert telemetry.one("call cat")


class TestMetrics:
    def test_counts(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        pool.map(die, range(5), on_error="return")
        items = telemetry.points("processpool.items")
        assert (items["ok"].value, items["failed"].value) == (4, 1)
        assert telemetry.points("processpool.workers.exited")["signal 9"].value == 1
        until(lambda: "idle" in telemetry.points("processpool.workers"))
        assert telemetry.points("processpool.workers")["idle"].value == 1
        assert telemetry.points("processpool.workers.memory")[None].value > 1_000_000
        assert telemetry.points("processpool.queue")["waiting"].value == 0

    def test_durations(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        pool.map(slowly, range(5))
        point = telemetry.points("processpool.item.duration")[None]
        assert point.count == 5
        assert point.sum >= 5 * 0.02
        assert telemetry.points("processpool.item.wait")[None].count == 5

    def test_counts_outlive_their_pool(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        pool.map(abs, range(5))
        pool.close()
        with ProcessPool(name="traced", max_workers=1) as other:
            telemetry.instrument(other)
            other.map(abs, range(3))
            assert telemetry.points("processpool.items")["ok"].value == 8


class TestWhenOff:
    def test_nothing_of_it_is_imported(self) -> None:
        code = (
            "import sys\n"
            "from processpool import ProcessPool\n"
            "with ProcessPool(max_workers=1) as pool: pool.map(abs, [1])\n"
            "assert 'opentelemetry' not in sys.modules\n"
            "assert 'processpool.otel' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

    def test_no_item_is_told_of(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        """Telemetry that is on does without the event that comes with every item."""
        assert not pool._engine._hub.has_listeners  # type: ignore[attr-defined]
