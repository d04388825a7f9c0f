"""What it costs to keep what a run has done, in turns against the same without.

Its journal, what is recorded of every map, the outcomes of a million items, and their report.
"""

from __future__ import annotations

import sys
import tempfile
import tracemalloc
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Figures, Probe, Row, at_least, at_most
from benchmarks.pools import command_pool, function_pool
from benchmarks.units import ITEMS_PER_SECOND, PER_CENT_COST, Unit
from benchmarks.work import inc, pause_and_inc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from processpool import ProcessPool

EACH = 40e-6
"""Seconds of an item: with two workers, that makes 50,000 items a second."""
TURNS = 3
PAIRS = 15
"""Short turns with recording and without: what they differ by is smaller than what each varies."""
BYTES_PER_ITEM = Unit("B/item", more_is_better=False)
SECONDS = Unit("s", more_is_better=False)


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    million = round(1_000_000 * scale)
    return [
        _cost(round(200_000 * scale)),
        _replay(round(500_000 * scale)),
        _recording("program", round(8_000 * scale)),
        _recording("function", round(300_000 * scale)),
        _recording("slower-function", round(8_000 * scale)),
        _outcomes(million),
        _report(million),
    ]


def _recording(what: str, items: int) -> Case:
    row = Row(
        "with", ITEMS_PER_SECOND, (OURS,), at_least(0.99), f"map, {what}, recorded", OURS,
        "without", "not recorded",
    )  # fmt: skip
    options = {"what": what, "items": items}
    probes = {OURS: Probe("benchmarks.long_runs:measure_recording", options)}
    return Case(f"recording-{what}", f"{items:,} items, {PAIRS} times each", probes, (row,))


def _outcomes(items: int) -> Case:
    row = Row("bytes", BYTES_PER_ITEM, (), at_most(250), "outcomes beyond their values")
    probes = {OURS: Probe("benchmarks.long_runs:measure_outcomes", {"items": items})}
    return Case("outcomes", f"{items:,} items with details", probes, (row,))


def _report(items: int) -> Case:
    rows = (
        Row("seconds", SECONDS, (), at_most(5), "making the report"),
        Row("kilobytes", Unit("kB", more_is_better=False), (), at_most(300), "its page"),
    )
    probes = {OURS: Probe("benchmarks.long_runs:measure_report", {"items": items})}
    return Case("report", f"of {items:,} items", probes, rows)


def _cost(items: int) -> Case:
    rows = (
        Row(
            "with", ITEMS_PER_SECOND, (OURS,), at_least(0.95), "map, with a journal", OURS,
            "without", "none",
        ),
        Row(
            "cpu", PER_CENT_COST, (), at_most(0.05),
            "the parent's CPU time for it, of the time of an item at 50,000 a second",
        ),
    )  # fmt: skip
    probes = {OURS: Probe("benchmarks.long_runs:measure_cost", {"items": items})}
    return Case("journal-cost", f"{items:,} items of {EACH * 1e6:g} µs", probes, rows)


def _replay(items: int) -> Case:
    row = Row("rate", ITEMS_PER_SECOND, (), at_least(200_000), "answered by a journal")
    probes = {OURS: Probe("benchmarks.long_runs:measure_replay", {"items": items})}
    return Case("journal-replay", f"{items:,} items that are done", probes, (row,))


def measure_cost(items: int) -> Figures:
    """Map over so many items, with a journal and without, in turns."""
    work = partial(pause_and_inc, EACH)
    rates: dict[str, list[float]] = {"with": [], "without": []}
    extra: list[float] = []
    with tempfile.TemporaryDirectory() as folder, function_pool(2) as pool:
        pool.map(work, range(1000))
        for turn in range(TURNS):
            run = partial(pool.map, work, journal=Path(folder) / f"{turn}.journal")
            began = process_time()
            rates["with"].append(_rate(items, run))
            between = process_time()
            rates["without"].append(_rate(items, partial(pool.map, work)))
            extra.append(2 * between - began - process_time())
    figures = {name: median(found) for name, found in rates.items()}
    return figures | {"cpu": median(extra) / items / (EACH / 2)}


def measure_replay(items: int) -> Figures:
    """Map over items that are all in the journal, opening it included."""
    with tempfile.TemporaryDirectory() as folder, function_pool(2) as pool:
        again = partial(pool.map, inc, journal=Path(folder) / "j")
        again(range(items))
        return {"rate": median(_rate(items, again) for _ in range(TURNS))}


def measure_recording(what: str, items: int) -> Figures:
    """Map over so many items, recorded and not, in short turns."""
    cat = {"kind": "command", "command": ["cat"], "protocol": "lines"}
    made = command_pool("cat", cat, 2) if what == "program" else function_pool(2)
    with made as pool:
        run = partial(_run_once, pool, what, items)
        run()
        rates: dict[str, list[float]] = {"with": [], "without": []}
        for pair in range(PAIRS):
            for way in ("with", "without") if pair % 2 else ("without", "with"):
                with _unrecorded() if way == "without" else nullcontext():
                    start = perf_counter()
                    run()
                    rates[way].append(items / (perf_counter() - start))
    ratio = median(a / b for a, b in zip(rates["with"], rates["without"], strict=True))
    without = median(rates["without"])
    return {"with": without * ratio, "without": without}


def _run_once(pool: ProcessPool, what: str, items: int) -> None:
    if what == "program":
        pool.map(["x"] * items)
    elif what == "function":
        pool.map(inc, range(items))
    else:
        pool.map(partial(pause_and_inc, 5 * EACH), range(items))


@contextmanager
def _unrecorded() -> Iterator[None]:
    """Take out what records maps; only the counting of the short way stays."""
    from processpool.api.map_job import MapJob
    from processpool.core.run_record import RunRecord
    from processpool.engine.peaks import Peaks

    kept: list[tuple[Any, str]] = [(MapJob, "_note_run"), (RunRecord, "note"), (Peaks, "look")]
    whole = [getattr(home, name) for home, name in kept]
    for home, name in kept:
        setattr(home, name, _later if home is Peaks else _nothing)
    try:
        yield
    finally:
        for (home, name), function in zip(kept, whole, strict=True):
            setattr(home, name, function)


def _later(_: object, worker: Any, now: float, _items: int = 1) -> None:
    """Look at no worker's memory, and not be asked for it all the time either."""
    worker.memory.due = now + 0.005


def _nothing(*_: object, **__: object) -> None:
    pass


def measure_outcomes(items: int) -> Figures:
    """The memory of outcomes, beyond that of their values."""
    with function_pool(2) as pool:
        pool.map(inc, range(1000), details=True)
        tracemalloc.start()
        outcomes = pool.map(inc, range(items), details=True)
        used = tracemalloc.get_traced_memory()[0]
        values = outcomes.values()
        of_values = sys.getsizeof(values) + sum(map(sys.getsizeof, values))
        tracemalloc.stop()
        if values != list(range(1, items + 1)):
            raise AssertionError("wrong answers")
    return {"bytes": (used - of_values) / items}


def measure_report(items: int) -> Figures:
    """How long it takes to make a report, and how large that is."""
    with function_pool(2) as pool, tempfile.TemporaryDirectory() as folder:
        outcomes = pool.map(inc, range(items), details=True)
        path = Path(folder) / "report.html"
        start = perf_counter()
        outcomes.report(path)
        seconds = perf_counter() - start
        return {"seconds": seconds, "kilobytes": path.stat().st_size / 1000}


def _rate(items: int, run: Callable[..., Any]) -> float:
    start = perf_counter()
    answers = run(range(items))
    rate = items / (perf_counter() - start)
    if answers != list(range(1, items + 1)):
        raise AssertionError("wrong answers")
    return rate
