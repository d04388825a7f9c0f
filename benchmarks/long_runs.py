"""What it costs to keep what a run has done: its journal, in turns against the same without."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Figures, Probe, Row, at_least
from benchmarks.pools import function_pool
from benchmarks.units import ITEMS_PER_SECOND
from benchmarks.work import inc, pause_and_inc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EACH = 40e-6
"""Seconds of an item: with two workers, that makes 50,000 items a second."""
TURNS = 3


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    return [_cost(round(200_000 * scale)), _replay(round(500_000 * scale))]


def _cost(items: int) -> Case:
    row = Row(
        "with", ITEMS_PER_SECOND, (OURS,), at_least(0.95), "map, with a journal", OURS, "without",
        "none",
    )  # fmt: skip
    probes = {OURS: Probe("benchmarks.long_runs:measure_cost", {"items": items})}
    return Case("journal-cost", f"{items:,} items of {EACH * 1e6:g} µs", probes, (row,))


def _replay(items: int) -> Case:
    row = Row("rate", ITEMS_PER_SECOND, (), at_least(200_000), "answered by a journal")
    probes = {OURS: Probe("benchmarks.long_runs:measure_replay", {"items": items})}
    return Case("journal-replay", f"{items:,} items that are done", probes, (row,))


def measure_cost(items: int) -> Figures:
    """Map over so many items, with a journal and without, in turns."""
    work = partial(pause_and_inc, EACH)
    rates: dict[str, list[float]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory() as folder, function_pool(2) as pool:
        pool.map(work, range(1000))
        for turn in range(TURNS):
            journal = Path(folder) / f"{turn}.journal"
            rates["with"].append(_rate(items, partial(pool.map, work, journal=journal)))
            rates["without"].append(_rate(items, partial(pool.map, work)))
    return {name: median(found) for name, found in rates.items()}


def measure_replay(items: int) -> Figures:
    """Map over items that are all in the journal, opening it included."""
    with tempfile.TemporaryDirectory() as folder, function_pool(2) as pool:
        again = partial(pool.map, inc, journal=Path(folder) / "j")
        again(range(items))
        return {"rate": median(_rate(items, again) for _ in range(TURNS))}


def _rate(items: int, run: Callable[..., Any]) -> float:
    start = perf_counter()
    answers = run(range(items))
    rate = items / (perf_counter() - start)
    if answers != list(range(1, items + 1)):
        raise AssertionError("wrong answers")
    return rate
