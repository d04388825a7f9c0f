"""Traces and metrics of pools, as the exporters of OpenTelemetry's SDK get them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import processpool.otel
from processpool import PoolFuture, ProcessPool, RemoteError, RequestTimeout, WorkerDied
from tests.process.support import WAYS, WORKERS, ask
from tests.process.workers.traced import (
    Ended,
    at_three,
    die,
    ended_here,
    export_in_memory,
    fail_at_one,
    fail_within,
    late_span,
    long_nap,
    slowly,
    span_of_now,
    with_span,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from opentelemetry.sdk.trace import ReadableSpan


class Telemetry(NamedTuple):
    """Where a test's pools report to."""

    spans: InMemorySpanExporter
    tracers: TracerProvider
    reader: InMemoryMetricReader
    meters: MeterProvider

    def instrument(self, pool: ProcessPool, spans_per_second: float = 100) -> None:
        processpool.otel.instrument(
            pool,
            tracer_provider=self.tracers,
            meter_provider=self.meters,
            spans_per_second=spans_per_second,
        )

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


@pytest.fixture
def sharing(telemetry: Telemetry) -> Iterator[ProcessPool]:
    """One whose single requests all share spans."""
    with ProcessPool(name="traced", max_workers=1, setup=export_in_memory) as pool:
        telemetry.instrument(pool, spans_per_second=0)
        yield pool


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    number: int = span.parent.span_id
    return number


def is_run(span: Ended) -> bool:
    """True for the span of an item, that its worker has made."""
    return span.name.startswith("run ")


def is_below(span: ReadableSpan, numbers: Container[int]) -> bool:
    return span.parent is not None and span.parent.span_id in numbers


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
runs = [s for s in memory.get_finished_spans() if s.name.startswith(("map", "submit", "call"))]
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
        assert (items[-1].end_time or 0) - (items[0].start_time or 0) >= 4 * 0.02e9
        assert run.attributes is not None
        assert run.attributes["processpool.items"] == 4

    def test_fast_items_share_spans(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        pool.map(abs, range(100_000))
        spans = [*telemetry.named("items"), *telemetry.named("item")]
        counts = [span.attributes.get("processpool.items", 1) for span in spans if span.attributes]
        run = dict(telemetry.one("map abs").attributes or {})
        counts.append(run.get("processpool.items.left_out", 0))
        assert sum(counts) == run["processpool.items"] == 100_000  # type: ignore[arg-type]
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
        assert (inner.name, item.name, item.item) == ("inner 3", "run at_three", 3)
        assert inner.parent == item.span_id
        assert item.parent == id_of(run)
        assert inner.trace_id == item.trace_id == run.context.trace_id

    def test_each_item_has_its_own(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        assert pool.map(with_span, range(50)) == list(range(50))
        ended = pool.call(ended_here)
        items = {span.span_id: span for span in ended if is_run(span)}
        inner = [span for span in ended if not is_run(span)]
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


class TestManyRequests:
    """Those beyond the allowance share spans."""

    @staticmethod
    def items(telemetry: Telemetry, method: str, name: str) -> list[int]:
        """How many requests the spans of a method and a function stand for, but those in others."""
        runs = telemetry.named(f"{method}s {name}")
        inner = {id_of(span) for span in runs}
        ones = [one for one in telemetry.named(f"{method} {name}") if not is_below(one, inner)]
        attributes = [dict(span.attributes or {}) for span in runs + ones]
        return [one.get("processpool.items", 1) for one in attributes]  # type: ignore[misc]

    def test_few_have_one_each(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        for n in range(60):
            pool.call(abs, n)
        assert len(telemetry.named("call abs")) == 60
        assert self.items(telemetry, "call", "abs") == [1] * 60

    @pytest.mark.parametrize("ask", ["call", "submit"])
    def test_each_is_in_a_span_below_the_callers(
        self, pool: ProcessPool, telemetry: Telemetry, ask: str
    ) -> None:
        began = time.monotonic()
        with telemetry.tracers.get_tracer("app").start_as_current_span("caller"):
            for n in range(2000):
                asked = getattr(pool, ask)(abs, n)
                assert (asked.result() if isinstance(asked, PoolFuture) else asked) == n
        seconds = time.monotonic() - began
        until(lambda: sum(self.items(telemetry, ask, "abs")) >= 2000)
        caller, runs = telemetry.one("caller"), telemetry.named(f"{ask}s abs")
        spans = [*telemetry.named(f"{ask} abs"), *runs]
        assert sum(self.items(telemetry, ask, "abs")) == 2000
        assert len(spans) <= 100 * (1 + seconds) + 10 * seconds + 2
        assert {parent_of(span) for span in spans} <= {id_of(caller), *map(id_of, runs)}
        for span in spans:
            assert (span.start_time or 0) < (span.end_time or 0)
            assert ask == "submit" or (span.end_time or 0) <= (caller.end_time or 0)

    def test_what_a_function_does_is_below_them(
        self, pool: ProcessPool, telemetry: Telemetry
    ) -> None:
        for n in range(600):
            pool.call(with_span, n)
        until(lambda: sum(self.items(telemetry, "call", "with_span")) == 600)
        runs = telemetry.named("calls with_span")
        ones = telemetry.named("call with_span")
        spans = runs + [one for one in ones if not is_below(one, {*map(id_of, runs)})]
        parents = Counter(span.parent for span in pool.call(ended_here) if is_run(span))
        assert parents.total() == 600
        counted = {id_of(s): dict(s.attributes or {}).get("processpool.items", 1) for s in spans}
        assert parents == counted

    def test_one_that_fails_is_told(self, sharing: ProcessPool, telemetry: Telemetry) -> None:
        for n in (0, 1):
            with suppress(ValueError):
                sharing.call(fail_at_one, n)
        sharing.close()
        failed, run = telemetry.one("call fail_at_one"), telemetry.one("calls fail_at_one")
        assert failed.status.description == "ValueError: not this one"
        assert parent_of(failed) == id_of(run)
        attributes = dict(run.attributes or {})
        assert (attributes["processpool.items"], attributes["processpool.items.failed"]) == (2, 1)
        assert not run.status.is_ok

    def test_a_submitted_one_that_fails_is_told(
        self, sharing: ProcessPool, telemetry: Telemetry
    ) -> None:
        futures = [sharing.submit(fail_at_one, n) for n in range(3)]
        assert isinstance(futures[1].exception(), ValueError)
        assert futures[2].result() == 2
        sharing.close()
        run, failed = telemetry.one("submits fail_at_one"), telemetry.one("submit fail_at_one")
        assert parent_of(failed) == id_of(run)
        assert (failed.status.description or "").startswith("ValueError")
        assert dict(run.attributes or {})["processpool.items"] == 3

    def test_one_that_takes_long_is_told(self, telemetry: Telemetry) -> None:
        with ProcessPool(name="traced", max_workers=1) as pool:
            telemetry.instrument(pool, spans_per_second=1)
            pool.call(abs, 1)  # this has the span of the first second
            pool.call(long_nap)
            pool.call(long_nap)
            until(lambda: telemetry.named("calls long_nap") or telemetry.named("call long_nap"))
        spans = telemetry.named("call long_nap") + telemetry.named("calls long_nap")
        assert all((one.end_time or 0) - (one.start_time or 0) >= 0.3e9 for one in spans)

    def test_one_alone_is_called_as_always(
        self, sharing: ProcessPool, telemetry: Telemetry
    ) -> None:
        assert sharing.call(divmod, 7, 2) == (3, 1)
        until(lambda: telemetry.named("call divmod"))
        assert "processpool.items" not in dict(telemetry.one("call divmod").attributes or {})

    def test_a_span_ends_with_its_last_request(
        self, sharing: ProcessPool, telemetry: Telemetry
    ) -> None:
        assert sharing.submit(long_nap).result() is None
        until(lambda: telemetry.named("submit long_nap"))
        span = telemetry.one("submit long_nap")
        assert (span.end_time or 0) - (span.start_time or 0) >= 0.3e9

    def test_asyncio(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        async def ask_often() -> None:
            for n in range(30):
                assert await asyncio.gather(*(pool.acall(abs, n) for _ in range(20))) == [n] * 20

        asyncio.run(ask_often())
        until(lambda: sum(self.items(telemetry, "call", "abs")) == 600)

    def test_the_options_of_a_view_hold(self, sharing: ProcessPool) -> None:
        for n in range(3):
            with pytest.raises(RequestTimeout):
                sharing.options(timeout=0.05).call(long_nap)
            assert sharing.call(abs, n) == n


class TestWithoutProvider:
    def test_the_callers_context_travels(self) -> None:
        """There is none in this process; the caller's span came from elsewhere."""
        remote = trace.SpanContext(5, 7, is_remote=True, trace_flags=trace.TraceFlags(1))
        with ProcessPool(max_workers=1) as pool:
            processpool.otel.instrument(pool)
            assert pool.call(span_of_now) == (0, 0, False)
            with trace.use_span(trace.NonRecordingSpan(remote)):
                for ask in ("call", "submit"):
                    asked = getattr(pool, ask)(span_of_now)
                    found = asked.result() if isinstance(asked, PoolFuture) else asked
                    assert found == (5, 7, True)
                assert pool.map(lambda _: span_of_now(), [1]) == [(5, 7, True)]
            assert pool.call(span_of_now) == (0, 0, False)


HANDLER = "tests.process.workers.traced_serve"


def ended(served: ProcessPool) -> list[Ended]:
    """What has ended in the worker of a handler under `serve` since the last look."""
    return [Ended(*span) for span in served.call("ended")]


class TestServed:
    """Handlers under `serve`."""

    @pytest.fixture
    def served(self, telemetry: Telemetry) -> Iterator[ProcessPool]:
        with ProcessPool(
            name="traced",
            command=["python", "-m", HANDLER],
            cwd=str(WORKERS.parents[2]),
            protocol={"kind": "framed", "pipeline": 8},
            codec="json",
            max_workers=1,
        ) as pool:
            telemetry.instrument(pool)
            yield pool

    @pytest.mark.parametrize("way", WAYS)
    def test_a_span_is_below_that_of_its_message(
        self, served: ProcessPool, telemetry: Telemetry, way: str
    ) -> None:
        assert ask(served, way, "span 7") == 7
        inner, item = ended(served)
        assert (inner.name, item.name, item.item) == ("inner 7", "run handle", 0)
        assert inner.parent == item.span_id
        name = f"{way.replace('imap', 'map')} {HANDLER}"
        until(lambda: telemetry.named(name))
        span = telemetry.named(name)[0]
        assert item.parent == id_of(span)
        assert span.context is not None
        assert inner.trace_id == item.trace_id == span.context.trace_id

    def test_each_has_its_own(self, served: ProcessPool, telemetry: Telemetry) -> None:
        assert served.map([f"span {n}" for n in range(1500)]) == list(range(1500))
        found = ended(served)
        items = {span.span_id: span for span in found if is_run(span)}
        inner = [span for span in found if not is_run(span)]
        assert [items[span.parent].item for span in inner] == list(range(1500))
        run = telemetry.one(f"map {HANDLER}")
        assert {span.parent for span in items.values()} == {id_of(run)}

    def test_requests_that_are_sent_ahead_have_theirs(
        self, served: ProcessPool, telemetry: Telemetry
    ) -> None:
        for future in [served.submit(f"span {n}") for n in range(60)]:
            future.result()
        found = ended(served)
        until(lambda: len(telemetry.named(f"submit {HANDLER}")) == 60)
        spans = [id_of(span) for span in telemetry.named(f"submit {HANDLER}")]
        assert [span.parent for span in found if is_run(span)] == spans

    def test_an_error_ends_its_span(self, served: ProcessPool, telemetry: Telemetry) -> None:
        with pytest.raises(RemoteError, match="KeyError"):
            served.call("fail")
        (item,) = ended(served)
        assert item.error == "KeyError: 5"

    def test_parts(self, served: ProcessPool, telemetry: Telemetry) -> None:
        assert ended(served) == []
        parts = served.stream("parts")
        assert [next(parts) for _ in range(3)] == [0, 1, 2]
        parts.close()
        found = ended(served)
        assert [span.name for span in found] == ["inner 0", "inner 1", "inner 2", "run handle"]
        assert {span.parent for span in found[:3]} == {found[3].span_id}

    def test_what_is_not_traced_is_in_no_trace(
        self, served: ProcessPool, telemetry: Telemetry
    ) -> None:
        assert served.call("now")[2]
        with served.lease() as lease:
            lease.send("now")
            assert lease.read_stdout() == [0, 0, False]

    def test_nothing_is_imported_for_it(self, served: ProcessPool) -> None:
        assert served.call("imported") is False


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
        assert telemetry.points("processpool.workers.started")[None].value == 2
        until(lambda: "idle" in telemetry.points("processpool.workers"))
        assert telemetry.points("processpool.workers")["idle"].value == 1
        assert telemetry.points("processpool.workers.memory")[None].value > 1_000_000
        assert telemetry.points("processpool.queue")["waiting"].value == 0

    def test_durations(self, pool: ProcessPool, telemetry: Telemetry) -> None:
        pool.map(slowly, range(5))
        point = telemetry.points("processpool.item.duration")[None]
        assert 0 < point.count <= 5
        assert point.max >= 0.02
        assert telemetry.points("processpool.item.wait")[None].count == point.count

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
