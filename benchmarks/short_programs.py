"""The short way of programs: one message and its answer, against the same system calls alone.

The targets are what this package holds itself to, as ratios within one run. The bare loop and the
ping-pong are in `benchmarks.floor`; "the PHP library" is ssigwart/process-pool, with a worker
written with it, and driven by itself (`workers/php_pool.php`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Probe, Row, Target, at_least, at_most
from benchmarks.programs import WIDTH
from benchmarks.units import ITEMS_PER_SECOND, MICROSECONDS, MILLISECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

BARE = "bare loop"
PING_PONG = "pipe ping-pong"
POPEN = "bare Popen"
THREADS = 4
BARE_THREADS = f"ping-pong, {THREADS} threads"
THREAD_TARGETS = {"call": at_least(0.97), "submit": at_least(4), "map": at_least(6)}
COMMIT = "2f1eb7c"
"""Every item went through the engine's thread then: a pool used by threads gained nothing."""

EARLIER = f"as of {COMMIT}"
LIBRARY = "PHP library"
ONE_BY_ONE = "PHP library, start+release"
SECONDS = 0.6
"""How long a contestant works in a round, where it can do any number of items."""

MEBIBYTE = 1 << 20


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    seconds = max(SECONDS * scale, 0.2)
    return [
        _map("map-cat", "cat", (2, 1), seconds, at_least(0.5), at_most(2.2)),
        _map("map-cat-eight", "cat", (2, 8), seconds),
        _map_php(seconds),
        _map("map-php-eight", "php", (2, 8), seconds),
        _map("map-serve", "serve", (2, 1), seconds, at_least(0.75)),
        _map("map-serve-eight", "serve", (2, 8), seconds, at_least(0.8)),
        _map("map-50", "cat", (50, 1), seconds, at_least(0.45)),
        _map("map-500", "cat", (500, 1), seconds, at_least(0.65)),
        _many(500),
        _call(seconds),
        _call_php(seconds),
        _as_completed(10_000, seconds),
        _lease(seconds),
        *(_threads(way, target, seconds) for way, target in THREAD_TARGETS.items()),
        _large(seconds),
    ]


def _ours(function: str, **options: Any) -> Probe:
    return Probe(f"benchmarks.short_measures:{function}", options)


def _floor(function: str, **options: Any) -> Probe:
    return Probe(f"benchmarks.floor:{function}", options)


def _library(mode: str, in_flight: int, seconds: float, size: int = WIDTH) -> Probe:
    options = {"mode": mode, "in_flight": in_flight, "seconds": seconds, "size": size}
    return Probe("benchmarks.php_pool:measure", options)


def _map(
    name: str,
    program: str,
    shape: tuple[int, int],
    seconds: float,
    rate: Target | None = None,
    cpu: Target | None = None,
) -> Case:
    """A map over a program; `shape` is how many workers, and messages in flight in each."""
    workers, pipeline = shape
    options = {"name": program, "workers": workers, "pipeline": pipeline, "seconds": seconds}
    probes = {OURS: _ours("measure_map", **options), BARE: _floor("bare_map", **options)}
    rows = (
        Row("rate", ITEMS_PER_SECOND, (BARE,), rate, "rate"),
        Row("cpu", MICROSECONDS, (BARE,), cpu, "parent's CPU time"),
    )
    title = f"map over {program}, {workers} workers, {pipeline} in flight in each"
    return Case(name, title, probes, rows)


def _map_php(seconds: float) -> Case:
    case = _map("map-php", "php", (2, 1), seconds, at_least(0.65))
    probes = {**case.probes, LIBRARY: _library("held", 2, seconds)}
    rows = (
        *case.rows,
        Row("rate", ITEMS_PER_SECOND, (LIBRARY,), at_least(0.5), "rate"),
        Row("cpu", MICROSECONDS, (LIBRARY,), None, "parent's CPU time"),
    )
    return Case(case.name, case.title, probes, rows)


def _many(workers: int) -> Case:
    probes = {
        OURS: _ours("measure_many", name="cat", workers=workers),
        POPEN: _floor("start_and_end", name="cat", count=workers),
    }
    rows = (
        Row("start", MILLISECONDS, (POPEN,), at_most(1.5), "all started"),
        Row("close", MILLISECONDS, (POPEN,), at_most(2), "all closed"),
    )
    return Case(f"start-{workers}", f"{workers} workers running cat", probes, rows)


def _call(seconds: float) -> Case:
    probes = {
        OURS: _ours("measure_call", name="cat", seconds=seconds),
        PING_PONG: _floor("ping_pong", name="cat", seconds=seconds / 2),
    }
    rows = (
        Row("call", MICROSECONDS, (PING_PONG,), at_most(2.2), "call", OURS, "p50"),
        submit_row(PING_PONG, "p50", 3.3),
        submit_row(OURS, "call", 1.3, "its own call"),
    )
    return Case("call-program", "one message at a time through cat", probes, rows)


def submit_row(against: str, figure: str, bound: float, title: str = "") -> Row:
    """`submit().result()` in units of something else."""
    ours, target = "submit().result()", at_most(bound)
    return Row("submit", MICROSECONDS, (against,), target, ours, OURS, figure, title)


def _call_php(seconds: float) -> Case:
    probes = {
        OURS: _ours("measure_call", name="php", seconds=seconds),
        ONE_BY_ONE: _library("released", 1, seconds / 2),
        LIBRARY: _library("held", 1, seconds / 2),
    }
    rows = (
        Row("call", MICROSECONDS, (ONE_BY_ONE,), at_most(1), "call", OURS, "p50"),
        Row("call", MICROSECONDS, (LIBRARY,), None, "call", OURS, "p50"),
    )
    return Case("call-php", "one message at a time through a PHP worker", probes, rows)


def _as_completed(messages: int, seconds: float) -> Case:
    options = {"name": "cat", "workers": 2, "messages": messages}
    probes = {
        OURS: _ours("measure_as_completed", **options),
        PING_PONG: _floor("ping_pong", name="cat", seconds=seconds / 2),
    }
    title = "each message"
    row = Row("seconds", MICROSECONDS, (PING_PONG,), at_most(3.5), title, OURS, "p50")
    return Case("as-completed", f"{messages:,} futures of 2 workers running cat", probes, (row,))


def _lease(seconds: float) -> Case:
    probes = {
        OURS: _ours("measure_lease", name="cat", seconds=seconds),
        PING_PONG: _floor("ping_pong", name="cat", seconds=seconds / 2),
    }
    row = Row("p50", MICROSECONDS, (PING_PONG,), at_most(2.5), "send and read")
    return Case("lease", "a leased worker running cat", probes, (row,))


def _threads(way: str, target: Target, seconds: float) -> Case:
    options = {"name": "cat", "threads": THREADS, "seconds": seconds}
    ours = _ours("measure_threads", way=way, **options)
    probes = {
        OURS: ours,
        EARLIER: replace(ours, commit=COMMIT),
        BARE_THREADS: _floor("ping_pong_threads", **options),
    }
    rows = (
        Row("rate", ITEMS_PER_SECOND, (EARLIER,), target, "rate"),
        Row("rate", ITEMS_PER_SECOND, (BARE_THREADS,), None, "rate"),
    )
    title = f"{way} by {THREADS} threads at once, as many workers running cat"
    return Case(f"threads-{way}", title, probes, rows)


def _large(seconds: float) -> Case:
    probes = {
        OURS: _ours("measure_large", name="php", size=MEBIBYTE, seconds=seconds),
        LIBRARY: _library("held", 1, seconds, MEBIBYTE),
    }
    row = Row("p50", MILLISECONDS, (LIBRARY,), at_most(1), "there and back")
    return Case("large-php", "1 MiB at a time through a PHP worker", probes, (row,))
