"""The short way: what one item costs between the caller and a worker, against the bare loop.

The targets are what this package holds itself to, as ratios within one run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Probe, Row, at_least, at_most
from benchmarks.units import ITEMS_PER_SECOND, MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

BARE = "bare loop"
PING_PONG = "pipe ping-pong"
EXECUTOR = "ProcessPoolExecutor"
SECONDS = 0.6
"""How long a contestant works in a round, where it can do any number of items."""


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    seconds = max(SECONDS * scale, 0.2)
    return [
        _map("map-cat", "cat", 2, 1, seconds, rate=0.5, cpu=2.2),
        _call(seconds),
        _function_call(seconds),
        *(
            _values(kind, round(400_000 * scale), bound)
            for kind, bound in (("ints", 0.65), ("floats", 0.65), ("strings", 0.4))
        ),
    ]


def _ours(function: str, **options: Any) -> Probe:
    return Probe(f"benchmarks.short_measures:{function}", options)


def _floor(function: str, **options: Any) -> Probe:
    return Probe(f"benchmarks.floor:{function}", options)


def _map(
    name: str,
    program: str,
    workers: int,
    pipeline: int,
    seconds: float,
    rate: float | None = None,
    cpu: float | None = None,
) -> Case:
    options = {"name": program, "workers": workers, "pipeline": pipeline, "seconds": seconds}
    probes = {OURS: _ours("measure_map", **options), BARE: _floor("bare_map", **options)}
    rows = (
        Row("rate", ITEMS_PER_SECOND, (BARE,), at_least(rate) if rate else None, "rate"),
        Row("cpu", MICROSECONDS, (BARE,), at_most(cpu) if cpu else None, "parent's CPU time"),
    )
    title = f"map over {program}, {workers} workers, {pipeline} in flight in each"
    return Case(name, title, probes, rows)


def _call(seconds: float) -> Case:
    probes = {
        OURS: _ours("measure_call", name="cat", seconds=seconds),
        PING_PONG: _floor("ping_pong", name="cat", seconds=seconds / 2),
    }
    rows = (
        Row("call", MICROSECONDS, (PING_PONG,), at_most(2.2), "call", OURS, "p50"),
        Row("submit", MICROSECONDS, (PING_PONG,), at_most(3.3), "submit().result()", OURS, "p50"),
        Row(
            "submit",
            MICROSECONDS,
            (OURS,),
            at_most(1.3),
            "submit().result()",
            OURS,
            "call",
            "its own call",
        ),
    )
    return Case("call-program", "one message at a time through cat", probes, rows)


def _function_call(seconds: float) -> Case:
    ping_pong = {"request": 21, "answer": 19, "exchanges": round(10_000 * seconds)}
    probes = {
        OURS: _ours("measure_function_call", seconds=seconds),
        PING_PONG: Probe("benchmarks.yardsticks:ping_pong", ping_pong),
        EXECUTOR: _ours("measure_peer_submit", peer=EXECUTOR, seconds=seconds / 2),
    }
    rows = (
        Row("call", MICROSECONDS, (PING_PONG,), at_most(3), "call", OURS, "p50"),
        Row("submit", MICROSECONDS, (EXECUTOR,), at_most(0.35), "submit().result()"),
        Row(
            "submit",
            MICROSECONDS,
            (OURS,),
            at_most(1.3),
            "submit().result()",
            OURS,
            "call",
            "its own call",
        ),
    )
    return Case("call-function", "one trivial call at a time", probes, rows)


def _values(kind: str, items: int, bound: float) -> Case:
    options = {"kind": kind, "items": items}
    probes = {peer: _ours("measure_values", peer=peer, **options) for peer in (OURS, "Pool.map")}
    rows = (Row("rate", ITEMS_PER_SECOND, ("Pool.map",), at_least(bound), "rate"),)
    return Case(f"map-{kind}", f"a trivial function over {items:,} {kind}", probes, rows)
