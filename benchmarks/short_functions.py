"""The short way of Python functions: small values, short items, arrays, and the first answer.

The targets are what this package holds itself to, as ratios within one run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Probe, Row, at_least, at_most
from benchmarks.short_programs import PING_PONG, SECONDS, submit_row
from benchmarks.units import (
    GIGABYTES_PER_SECOND,
    ITEMS_PER_SECOND,
    MICROSECONDS,
    MILLISECONDS,
    PER_CENT,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

EXECUTOR = "ProcessPoolExecutor"
POOL_MAP = "Pool.map"
NO_POOL = "two processes, no pool"
COPY = "memcpy"
BARE_PYTHON = "python -c pass"
PROGRAM = "processpool, serve"
ARRAY = 64 << 20


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    seconds = max(SECONDS * scale, 0.2)
    return [
        _call(seconds),
        *(
            _values(kind, round(400_000 * scale), bound)
            for kind, bound in (("ints", 0.65), ("floats", 0.65), ("strings", 0.4))
        ),
        *(
            _efficiency(microseconds, bound, seconds)
            for microseconds, bound in ((100, 0.95), (30, 0.90), (10, 0.75))
        ),
        _array_out(max(round(9 * scale), 3)),
        _first_answer(),
    ]


def _ours(function: str, **options: Any) -> Probe:
    return Probe(f"benchmarks.short_measures:{function}", options)


def _call(seconds: float) -> Case:
    ping_pong = {"request": 21, "answer": 19, "exchanges": round(10_000 * seconds)}
    probes = {
        OURS: _ours("measure_function_call", seconds=seconds),
        PING_PONG: Probe("benchmarks.yardsticks:ping_pong", ping_pong),
        EXECUTOR: _ours("measure_peer_submit", peer=EXECUTOR, seconds=seconds / 2),
    }
    rows = (
        Row("call", MICROSECONDS, (PING_PONG,), at_most(3), "call", OURS, "p50"),
        submit_row(EXECUTOR, "submit", 0.35),
        submit_row(OURS, "call", 1.3, "its own call"),
    )
    return Case("call-function", "one trivial call at a time", probes, rows)


def _values(kind: str, items: int, bound: float) -> Case:
    options = {"kind": kind, "items": items}
    probes = {peer: _ours("measure_values", peer=peer, **options) for peer in (OURS, POOL_MAP)}
    rows = (Row("rate", ITEMS_PER_SECOND, (POOL_MAP,), at_least(bound), "rate"),)
    return Case(f"map-{kind}", f"a trivial function over {items:,} {kind}", probes, rows)


def _efficiency(microseconds: int, bound: float, seconds: float) -> Case:
    durations = f"{microseconds} µs"
    options = {"durations": durations, "items": round(2e6 * seconds / microseconds)}
    probes = {
        OURS: Probe("benchmarks.function_measures:measure_makespan", {"peer": OURS, **options}),
        NO_POOL: Probe("benchmarks.function_measures:bare_makespan", options),
    }
    row = Row("efficiency", PER_CENT, (NO_POOL,), at_least(bound), "of the ideal time")
    title = f"two workers, items that are busy for {durations}"
    return Case(f"efficiency-{microseconds}us", title, probes, (row,))


def _array_out(repeats: int) -> Case:
    options = {"size": ARRAY, "repeats": repeats}
    probes = {
        OURS: Probe("benchmarks.function_measures:measure_array_out", options),
        COPY: Probe("benchmarks.yardsticks:memory_copy", options),
    }
    row = Row("rate", GIGABYTES_PER_SECOND, (COPY,), at_least(0.9), "rate")
    return Case("array-out", "a function returns 64 MiB of float64", probes, (row,))


def _first_answer() -> Case:
    probes = {
        OURS: Probe("benchmarks.function_measures:measure_first_answer", {"peer": OURS}),
        PROGRAM: _ours("measure_start", name="serve"),
        BARE_PYTHON: Probe("benchmarks.yardsticks:bare_start", {"repeats": 5}),
    }
    rows = (
        Row("seconds", MILLISECONDS, (BARE_PYTHON,), at_most(2), "function"),
        Row("seconds", MILLISECONDS, (BARE_PYTHON,), at_most(2), "program under serve", PROGRAM),
    )
    return Case("first-answer", "opening a pool, to its first answer", probes, rows)
