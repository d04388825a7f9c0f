"""Pools of Python functions: ours against the standard library, loky, pebble, mpire and joblib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Probe, Row, Target, at_least, at_most
from benchmarks.peers import MODULES
from benchmarks.placement import FREE, ONE_CPU, TWO_CPUS
from benchmarks.units import (
    COUNT,
    GIGABYTES_PER_SECOND,
    ITEMS_PER_SECOND,
    MEGABYTES,
    MICROSECONDS,
    MILLISECONDS,
    PER_CENT,
    Unit,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ARRAY = 64 * 1024 * 1024
EXECUTORS = tuple(f"ProcessPoolExecutor {how}" for how in ("fork", "forkserver", "spawn"))
SPAWN = "ProcessPoolExecutor spawn"
OTHERS = ("loky", "pebble", "mpire", "joblib")
SUBMIT = "processpool.submit"
DROP_IN = "processpool.ProcessPoolExecutor"
PING_PONG = "raw pipe ping-pong"
BARE = "python -c pass"
NO_POOL = "two processes, no pool"


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    return [
        _map(round(200_000 * scale)),
        _call(round(3_000 * scale)),
        _memory(round(2_000_000 * scale), round(100_000 * scale)),
        *(
            _makespan(name, durations, round(items * max(scale, 0.5)))
            for name, durations, items in (
                ("function-makespan-1ms", "1 ms", 2_000),
                ("function-makespan-10ms", "10 ms", 200),
                ("function-makespan-mixed", "mixed", 400),
            )
        ),
        _array("function-array-in", "in, a float out", max(round(5 * scale), 2), both_ways=False),
        _array(
            "function-array-out", "in, another out; counted once", max(round(5 * scale), 2), True
        ),
        _first_answer(),
        _script(),
        _imports(),
        _worker_import(),
        _restarts(round(1_000 * scale), round(100 * max(scale, 0.2))),
        _idle_memory(),
    ]


def _probe(function: str, peer: str, **options: Any) -> Probe:
    return Probe(f"benchmarks.function_measures:{function}", {"peer": peer, **options})


def _probes(function: str, peers: Iterable[str], **options: Any) -> dict[str, Probe]:
    return {peer: _probe(function, peer, **options) for peer in peers}


def _against_each(
    figure: str, unit: Unit, peers: Iterable[str], targets: Mapping[str, Target] | None = None
) -> tuple[Row, ...]:
    """A row against each peer, for most of them without a target."""
    targets = targets or {}
    return tuple(Row(figure, unit, (peer,), targets.get(peer)) for peer in peers)


def _map(items: int) -> Case:
    one_by_one = (*EXECUTORS, "Pool.imap", "loky", "pebble")
    in_chunks = ("ProcessPoolExecutor", "Pool.imap", *OTHERS)
    probes = {
        OURS: _probe("measure_map", OURS, items=items),
        **_probes("measure_map", one_by_one, items=items // 20),
        **_probes("measure_map", ("mpire", "joblib", "Pool.map"), items=items),
        **{
            f"{peer}, large chunks": _probe("measure_map", peer, items=items, chunks=True)
            for peer in in_chunks
        },
        DROP_IN: _probe("measure_map", DROP_IN, items=items // 20),
    }
    targets = {peer: at_least(25) for peer in EXECUTORS}
    targets["Pool.imap"] = at_least(8)
    peers = [label for label in probes if label not in (OURS, DROP_IN)]
    rows = (
        *_against_each("rate", ITEMS_PER_SECOND, peers, targets),
        Row("rate", ITEMS_PER_SECOND, (EXECUTORS[0],), None, "drop-in executor", DROP_IN),
    )
    title = f"a trivial function over {items:,} integers (slow peers: {items // 20:,}), as a rate"
    return Case("function-map", title, probes, rows)


def _call(calls: int) -> Case:
    peers = (*EXECUTORS, "Pool.map", "loky", "pebble", "mpire")
    probes: dict[str, Probe] = {}
    rows = []
    for placement in (FREE, ONE_CPU, TWO_CPUS):
        where = "" if placement == FREE else f", {placement}"
        probes[OURS + where] = _probe("measure_call", OURS, calls=4 * calls, placement=placement)
        probes[PING_PONG + where] = _ping_pong(4 * calls, placement)
        rows.append(
            Row("p50", MICROSECONDS, (PING_PONG + where,), None, "call" + where, OURS + where)
        )
    probes |= {
        SUBMIT: _probe("measure_call", SUBMIT, calls=calls),
        DROP_IN: _probe("measure_call", DROP_IN, calls=calls),
        **_probes("measure_call", peers, calls=calls),
        "joblib": _probe("measure_call", "joblib", calls=max(calls // 100, 5)),
    }
    rows += [
        Row("p50", MICROSECONDS, (peer,), None, "submit().result()", SUBMIT)
        for peer in (*peers, "joblib")
    ]
    rows.append(Row("p50", MICROSECONDS, (SPAWN,), None, "drop-in executor", DROP_IN))
    return Case("function-call", "one trivial call and its answer, the median", probes, tuple(rows))


def _ping_pong(exchanges: int, placement: str) -> Probe:
    options = {"request": 21, "answer": 19, "exchanges": exchanges, "placement": placement}
    return Probe("benchmarks.yardsticks:ping_pong", options)


def _memory(items: int, fewer: int) -> Case:
    peers = ("ProcessPoolExecutor fork", "Pool.imap", "loky", "pebble", "mpire", "joblib generator")
    few = f"processpool, {fewer:,}"
    probes = {
        OURS: _probe("measure_memory", OURS, items=items),
        few: _probe("measure_memory", OURS, items=fewer),
        **_probes("measure_memory", peers, items=fewer),
    }
    rows = (
        Row("growth", MEGABYTES, (), at_most(20e6), f"{items:,} items"),
        *(Row("growth", MEGABYTES, (peer,), None, f"{fewer:,} items", few) for peer in peers),
    )
    return Case("function-memory", "imap over a lazy generator, added to the parent", probes, rows)


def _makespan(name: str, durations: str, items: int) -> Case:
    peers = ("ProcessPoolExecutor fork", "Pool.map", "Pool.imap", *OTHERS)
    options = {"durations": durations, "items": items}
    probes = {
        **_probes("measure_makespan", (OURS, *peers), **options),
        NO_POOL: Probe("benchmarks.function_measures:bare_makespan", options),
    }
    rows = (
        Row("efficiency", PER_CENT, (), at_least(0.97), "of the ideal time"),
        Row("efficiency", PER_CENT, (NO_POOL,), None, "of the ideal time"),
        Row("busy", PER_CENT, (), at_least(0.97), "workers busy"),
        *(Row("busy", PER_CENT, (peer,), None, "workers busy") for peer in peers),
    )
    lengths = "0.01 to 100 ms" if durations == "mixed" else durations
    return Case(name, f"map over {items:,} busy items of {lengths}", probes, rows)


def _array(name: str, what: str, repeats: int, both_ways: bool) -> Case:
    peers = (*EXECUTORS, "Pool.map", *OTHERS)
    options = {"size": ARRAY, "repeats": repeats, "both_ways": both_ways}
    copy = Probe("benchmarks.yardsticks:memory_copy", {"size": ARRAY, "repeats": repeats})
    probes = {**_probes("measure_array", (OURS, *peers), **options), "memory copy": copy}
    rows = (
        Row("rate", GIGABYTES_PER_SECOND, (), at_least(1.5e9)),
        Row("rate", GIGABYTES_PER_SECOND, peers, at_least(5)),
        *_against_each("rate", GIGABYTES_PER_SECOND, (*peers, "memory copy")),
    )
    return Case(name, f"a 64 MiB array of float64 {what}", probes, rows)


def _start_peers() -> tuple[str, ...]:
    return (*EXECUTORS, "Pool.map fork", "Pool.map forkserver", "Pool.map spawn", *OTHERS)


def _first_answer() -> Case:
    peers = _start_peers()
    probes = {
        **_probes("measure_first_answer", (OURS, *peers)),
        BARE: Probe("benchmarks.yardsticks:bare_start", {"repeats": 5}),
    }
    rows = (
        Row("seconds", MILLISECONDS, (BARE,)),
        *_against_each("seconds", MILLISECONDS, peers),
    )
    return Case("function-first-answer", "opening a pool, to its first answer", probes, rows)


def _script() -> Case:
    peers = (OURS, *_start_peers())
    probes = {
        **_probes("measure_script", peers, repeats=3),
        BARE: Probe("benchmarks.yardsticks:bare_start", {"repeats": 5}),
    }
    rows = _against_each("seconds", MILLISECONDS, [label for label in probes if label != OURS])
    return Case("function-script", "a whole script: import, open, one answer, end", probes, rows)


def _imports() -> Case:
    def probe(statement: str) -> Probe:
        options = {"statement": statement, "repeats": 3}
        return Probe("benchmarks.function_measures:measure_import", options)

    used = "from processpool import ProcessPool"
    probes = {name: probe(f"import {module}") for name, module in MODULES.items()}
    probes[used] = probe(used)
    peers = [name for name in MODULES if name != OURS]
    rows = (
        Row("seconds", MILLISECONDS, (), at_most(0.060), "import processpool"),
        Row("seconds", MILLISECONDS, (), None, used, used),
        *(Row("seconds", MILLISECONDS, (peer,), None, used, used) for peer in peers),
    )
    return Case("function-import", "importing the library", probes, rows)


def _worker_import() -> Case:
    probe = Probe("benchmarks.function_measures:measure_worker_import", {"repeats": 5})
    rows = (
        Row("seconds", MILLISECONDS, (), at_most(0.010), "all that a worker imports"),
        Row("modules", COUNT, (), None, "modules beyond a bare interpreter"),
    )
    return Case("function-worker-import", "importing the library in a worker", {OURS: probe}, rows)


def _restarts(items: int, fewer: int) -> Case:
    peers = ("ProcessPoolExecutor spawn", "ProcessPoolExecutor forkserver", "Pool.imap spawn")
    more = ("Pool.imap forkserver", "Pool.imap fork", "pebble", "mpire")
    probes = {
        OURS: _probe("measure_restarts", OURS, items=items),
        **_probes("measure_restarts", (*peers, *more), items=fewer),
    }
    targets = {peer: at_least(1) for peer in peers[:2]}
    rows = _against_each("rate", ITEMS_PER_SECOND, (*peers, *more), targets)
    title = f"a new worker for each of {items:,} items (peers: {fewer:,}), as a rate"
    return Case("function-restarts", title, probes, rows)


def _idle_memory() -> Case:
    peers = (*EXECUTORS, "Pool.map", *OTHERS)
    probes = _probes("measure_idle_memory", (OURS, *peers))
    rows = (
        Row("beyond", MEGABYTES, (), at_most(3e6), "beyond a bare interpreter"),
        *_against_each("uss", MEGABYTES, peers),
    )
    return Case("function-idle-memory", "an idle worker's own memory (USS)", probes, rows)
