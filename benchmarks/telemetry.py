"""What telemetry costs: a pool that reports to OpenTelemetry's SDK against one that does not.

By the CPU time of all processes, in short turns, within a span of the caller's. The spans are
batched as in production, and dropped where an exporter would encode and send them; metrics are
collected twice a second.
"""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from functools import partial
from importlib.util import find_spec
from statistics import median
from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Figures, Probe, Row, at_most
from benchmarks.pools import command_pool, function_pool
from benchmarks.units import Unit
from benchmarks.work import add_up, inc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from processpool import ProcessPool

PAIRS = 25
MILLISECOND = 50_000
"""Numbers that are added up in about a millisecond."""
CPU_PER_ITEM = Unit("µs", more_is_better=False, scale=1e6)
WORK = {
    "program": (10_000, "map, `cat`"),
    "functions": (300_000, "map, fast functions"),
    "1ms": (200, "map, items of 1 ms"),
    "submit-1ms": (200, "submit, items of 1 ms"),
    "submit-10ms": (20, "submit, items of 10 ms"),
    "call-1ms": (200, "call, items of 1 ms"),
    "call": (2_000, "call, a fast function"),
    "submit": (2_000, "submit, a fast function"),
}
NOTHING_DONE = ("call", "submit")
"""Those whose items take less than it takes to ask for them: what is found is only shown."""
"""Name → how many items, and what they are."""
FEW = 3.0
"""What items that do something may cost with telemetry, in per cent more."""


def cases(scale: float) -> Sequence[Case]:
    """A case for each kind of work; `scale` shortens them."""
    if not find_spec("opentelemetry.sdk"):
        return []
    return [_case(name, max(round(count * scale), 2)) for name, (count, _) in WORK.items()]


def _case(name: str, items: int) -> Case:
    probes = {OURS: Probe("benchmarks.telemetry:measure", {"work": name, "items": items})}
    _, title = WORK[name]
    target = None if name in NOTHING_DONE else at_most(1 + FEW / 100)
    row = Row("on", CPU_PER_ITEM, (OURS,), target, title, OURS, "off", "telemetry off")
    return Case(f"telemetry-{name}", f"{items:,} items, {PAIRS} times each", probes, (row,))


def measure(work: str, items: int) -> Figures:
    """The CPU time of an item with telemetry and without, in turns."""
    with ExitStack() as pools:
        ways = {way: pools.enter_context(_pool(work)) for way in ("on", "off")}
        tracer = _instrument(ways["on"])
        seconds: dict[str, list[float]] = {"on": [], "off": []}
        for pair in range(-1, PAIRS):
            for way in ("on", "off") if pair % 2 else ("off", "on"):
                began = _cpu_seconds(ways[way])
                with tracer.start_as_current_span("caller") if way == "on" else nullcontext():
                    _run(ways[way], work, items)
                if pair >= 0:
                    seconds[way].append((_cpu_seconds(ways[way]) - began) / items)
        ratio = median(a / b for a, b in zip(seconds["on"], seconds["off"], strict=True))
    return {"on": median(seconds["off"]) * ratio, "off": median(seconds["off"])}


def _pool(work: str) -> ProcessPool:
    if work == "program":
        cat = {"kind": "command", "command": ["cat"], "protocol": "lines"}
        return command_pool("cat", cat, 2)  # type: ignore[no-any-return]
    return function_pool(2)  # type: ignore[no-any-return]


def _cpu_seconds(pool: ProcessPool) -> float:
    """The CPU time of this process and of the pool's workers."""
    used = process_time()
    for worker in pool.snapshot(resources=False).workers:
        with open(f"/proc/{worker.pid}/schedstat", encoding="ascii") as stat:
            used += int(stat.read().split()[0]) / 1e9
    return used


def _run(pool: ProcessPool, work: str, items: int) -> None:
    runs: dict[str, Callable[[], Any]] = {
        "program": lambda: pool.map(["x"] * items),
        "functions": lambda: pool.map(inc, range(items)),
        "1ms": lambda: pool.map(add_up, [MILLISECOND] * items),
        "submit-1ms": partial(_submit, pool, items, MILLISECOND),
        "submit-10ms": partial(_submit, pool, items, 10 * MILLISECOND),
        "call-1ms": lambda: [pool.call(add_up, MILLISECOND) for _ in range(items)],
        "call": lambda: [pool.call(inc, 1) for _ in range(items)],
        "submit": partial(_submit, pool, items, 1),
    }
    runs[work]()


def _submit(pool: ProcessPool, items: int, numbers: int) -> None:
    for future in [pool.submit(add_up, numbers) for _ in range(items)]:
        future.result()


def _instrument(pool: ProcessPool) -> Any:
    """Have a pool report; return a tracer of its caller's."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter as Metrics
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    import processpool.otel

    class Dropping(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    class DroppingMetrics(Metrics):
        def export(self, metrics_data: Any, *args: Any, **keywords: Any) -> Any:
            from opentelemetry.sdk.metrics.export import MetricExportResult

            return MetricExportResult.SUCCESS

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Dropping()))
    meters = MeterProvider([PeriodicExportingMetricReader(DroppingMetrics(), 500)])
    processpool.otel.instrument(pool, tracer_provider=tracers, meter_provider=meters)
    return tracers.get_tracer("caller")
