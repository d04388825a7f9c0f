"""A pool on a Dask cluster of two nodes with one worker each, on this machine.

Held against Dask's own `client.map`, an item a task, and against a pool of two workers on this
machine. Each probe has a cluster of its own, whose scheduler and nodes are other processes.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.util import find_spec
from statistics import median
from subprocess import PIPE, Popen
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Figures, Probe, Row, at_least, at_most
from benchmarks.units import ITEMS_PER_SECOND, MEGABYTES_PER_SECOND, MILLISECONDS
from benchmarks.work import doze, inc, spin
from processpool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NODES = 2
DASK, LOCAL = "dask", "local"
IN_A_ROW = 3
"""The best of so many is a probe's rate: whatever else the machine does only slows."""
MEGABYTE = 1_000_000
TRIVIAL, LONG = 0.0, 0.001


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    if not find_spec("distributed"):
        return []
    return [
        _rates("trivial", TRIVIAL, round(400_000 * scale), DASK, 200.0, "trivial items"),
        _rates("10us", 1e-5, round(200_000 * scale), LOCAL, 0.5, "items of 10 µs"),
        _rates("1ms", LONG, round(4_000 * scale), LOCAL, 0.9, "items of 1 ms"),
        _rates("1ms-asleep", LONG, round(4_000 * scale), LOCAL, 0.9, "items that sleep 1 ms"),
        Case(
            "cluster-payload",
            "bytes to a cluster and back",
            {OURS: Probe("benchmarks.cluster:payload", {"items": max(round(100 * scale), 20)})},
            (
                Row("there", MEGABYTES_PER_SECOND, (), at_least(80e6), "1 MB each, sent"),
                Row("back", MEGABYTES_PER_SECOND, (), at_least(80e6), "1 MB each, returned"),
            ),
        ),
        Case(
            "cluster-submit",
            "one request at a time",
            {OURS: Probe("benchmarks.cluster:submit", {"items": max(round(300 * scale), 50)})},
            (
                Row(
                    "ours",
                    MILLISECONDS,
                    (OURS,),
                    at_most(1.5),
                    "submit().result()",
                    against_figure="theirs",
                    against_title="client.submit().result()",
                ),
            ),
        ),
    ]


def _rates(name: str, seconds: float, items: int, against: str, wanted: float, title: str) -> Case:
    """A case of items that all take equally long."""
    probes = {
        label: Probe(
            "benchmarks.cluster:rate",
            {
                "who": label,
                "function": "doze" if "asleep" in name else "spin" if seconds else "inc",
                "seconds": seconds,
                "items": items // (100 if label == DASK else 1),
            },
        )
        for label in (OURS, against)
    }
    known_as = "client.map, an item a task" if against == DASK else "pool of two on this machine"
    row = Row("rate", ITEMS_PER_SECOND, (against,), at_least(wanted), title, against_title=known_as)
    return Case(f"cluster-{name}", f"on a cluster, {title}", probes, (row,))


def rate(who: str, function: str, seconds: float, items: int) -> Figures:
    """Items in a second; functions of `benchmarks.work` are imported by the workers."""
    do: Callable[[Any], Any] = {"inc": inc, "spin": spin, "doze": doze}[function]
    given = [seconds] * items if seconds else list(range(items))
    with _mapping(who) as run:
        run(do, given[: items // 10])
        times = []
        for _ in range(IN_A_ROW):
            began = perf_counter()
            answers = run(do, given)
            times.append(perf_counter() - began)
            if not seconds and answers != [number + 1 for number in given]:
                raise AssertionError("wrong answers")
    return {"rate": items / min(times)}


@contextmanager
def _mapping(who: str) -> Iterator[Callable[..., list[Any]]]:
    """What maps a function over a list: the pool, or Dask itself."""
    if who == LOCAL:
        with ProcessPool(max_workers=NODES) as pool:
            pool.wait_ready()
            yield pool.map
        return
    with _cluster() as address:
        if who == DASK:
            with _client(address) as client:
                yield lambda do, given: client.gather(client.map(do, given, pure=False))
        else:
            with _pool(address) as pool:
                yield pool.map


def payload(items: int) -> Figures:
    """Bytes in a second, sent and returned; all are new, so nothing can be sent but once."""
    blobs = [bytes([number % 256]) * MEGABYTE for number in range(items)]
    with _cluster() as address, _pool(address) as pool:
        pool.map(len, blobs[:10])
        there, back = [], []
        for _ in range(IN_A_ROW):
            began = perf_counter()
            if pool.map(len, blobs) != [MEGABYTE] * items:
                raise AssertionError("wrong answers")
            there.append(perf_counter() - began)
            began = perf_counter()
            if list(map(len, pool.map(bytes, [MEGABYTE] * items))) != [MEGABYTE] * items:
                raise AssertionError("wrong answers")
            back.append(perf_counter() - began)
    size = items * MEGABYTE
    return {"there": size / min(there), "back": size / min(back)}


def submit(items: int) -> Figures:
    """The time of one request, of ours and of Dask's in turns."""
    ours, theirs = [], []
    with _cluster() as address, _pool(address) as pool, _client(address) as client:
        for number in range(items):
            began = perf_counter()
            answers = [pool.submit(inc, number).result()]
            ours.append(perf_counter() - began)
            began = perf_counter()
            answers.append(client.submit(inc, number, pure=False).result())
            theirs.append(perf_counter() - began)
            if answers != [number + 1] * 2:
                raise AssertionError("wrong answers")
    return {"ours": median(ours), "theirs": median(theirs)}


def _pool(address: str) -> ProcessPool:
    place = {
        "kind": "dask",
        "scheduler": address,
        "workers_per_node": 1,
        "wait_for_nodes": {"min": NODES},
    }
    return ProcessPool.from_dict({"worker": {"kind": "python"}, "backend": place})


def _client(address: str) -> Any:
    import distributed

    make: Any = distributed.Client  # which has no types
    return make(address, set_as_default=False)


@contextmanager
def _cluster() -> Iterator[str]:
    """A cluster in processes of its own; yields its address."""
    program = [sys.executable, "-m", "benchmarks.cluster"]
    with Popen(program, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate()


def _serve() -> None:
    """Be a cluster until the end of the input."""
    import distributed

    make: Any = distributed.LocalCluster
    with make(n_workers=NODES, threads_per_worker=1, dashboard_address=":0") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve()
