"""What supervision costs: replacing a dead worker, watching busy ones, keeping idle ones."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep
from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Figures, Probe, Row, Target, at_least, at_most
from benchmarks.pools import command_pool, echo_worker, function_pool
from benchmarks.units import ITEMS_PER_SECOND, MILLISECONDS, PER_CENT_COST
from benchmarks.work import inc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WATCHES_PER_SECOND = 4
SUPERVISED = {
    "timeouts": {"request": "1m"},
    "retry": {"attempts": 3, "on": ["crash", "timeout"]},
    "recycle": {"after_requests": 100_000_000, "after": "1h", "above_memory": "2GiB"},
    "limits": {"memory": "64GiB", "cpu_time": "1h", "open_files": 1024},
}
"""Every supervision key of the YAML, with bounds that the benchmark never reaches."""


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    kinds = {"command": round(200_000 * scale), "function": round(800_000 * scale)}
    return [
        *(_successor(kind, max(round(20 * scale), 5)) for kind in kinds),
        *(_cost(kind, items) for kind, items in kinds.items()),
        *(_watch(kind, items) for kind, items in kinds.items()),
        _snapshot(64, 0.001),
        _snapshot(500, 0.003),
        _idle(100, max(10 * scale, 3)),
    ]


def _ours(function: str, **options: Any) -> dict[str, Probe]:
    return {OURS: Probe(f"benchmarks.supervision:{function}", options)}


def _successor(kind: str, kills: int) -> Case:
    row = _turns("kill to answer", "successor", "start", "opening a pool", at_most(1.5))
    title = f"{kind} worker: from SIGKILL to its successor's answer"
    probes = _ours("measure_successor", kind=kind, kills=kills)
    return Case(f"successor-{kind}", title, probes, (row,))


def _cost(kind: str, items: int) -> Case:
    row = _turns("map, every supervision key", "with", "without", "none", at_least(0.97))
    probes = _ours("measure_cost", kind=kind, items=items)
    return Case(f"cost-{kind}", f"{kind} workers: {items:,} items", probes, (row,))


def _watch(kind: str, items: int) -> Case:
    title = f"map, {WATCHES_PER_SECOND} snapshots a second"
    row = _turns(title, "with", "without", "none", at_least(0.97))
    probes = _ours("measure_watch", kind=kind, items=items)
    return Case(f"watch-{kind}", f"{kind} workers: {items:,} items", probes, (row,))


def _turns(title: str, ours: str, other: str, against: str, target: Target) -> Row:
    """Compare two figures of the same probe, which measured them in turns."""
    unit = MILLISECONDS if ours == "successor" else ITEMS_PER_SECOND
    return Row(ours, unit, (OURS,), target, title, OURS, other, against)


def _snapshot(workers: int, seconds: float) -> Case:
    row = Row("seconds", MILLISECONDS, (), at_most(seconds), "CPU time of one snapshot")
    probes = _ours("measure_snapshot", workers=workers)
    return Case(f"snapshot-{workers}", f"looking at {workers} workers", probes, (row,))


def _idle(workers: int, seconds: float) -> Case:
    row = Row("share", PER_CENT_COST, (), at_most(0.001), "of one core, pool and workers")
    probes = _ours("measure_idle", workers=workers, seconds=seconds)
    title = f"{workers} idle workers for {seconds:g} s, recycling by memory on"
    return Case("idle", title, probes, (row,))


class _Work:
    """A pool of either kind, with the trivial item of its kind."""

    def __init__(self, pool: Any, arguments: tuple[Any, ...]) -> None:
        self.pool = pool
        self._arguments = arguments

    def call(self) -> None:
        """One item."""
        self.pool.call(*self._arguments)

    def rate(self, items: int) -> float:
        """Map over so many items: items a second."""
        *function, item = self._arguments
        batch = [item] * items
        start = perf_counter()
        self.pool.map(*function, batch)
        return items / (perf_counter() - start)


@contextmanager
def _open(kind: str, workers: int, **more: Any) -> Iterator[_Work]:
    if kind == "function":
        with function_pool(workers, **more) as pool:
            yield _Work(pool, (inc, 1))
    else:
        with command_pool("echo", echo_worker(pipeline=64), workers, **more) as pool:
            yield _Work(pool, ("0123456789abcdef",))


def measure_successor(kind: str, kills: int) -> Figures:
    """Kill the only, idle worker and call: the time to the answer; and opening a pool to its."""
    starts, successors = [], []
    for _ in range(max(kills // 2, 3)):
        start = perf_counter()
        with _open(kind, 1) as work:
            work.call()
            starts.append(perf_counter() - start)
    with _open(kind, 1) as work:
        for _ in range(kills):
            work.call()
            pid = work.pool.snapshot().workers[0].pid
            start = perf_counter()
            os.kill(pid, signal.SIGKILL)
            _wait_until_noticed(work.pool, pid)
            work.call()
            successors.append(perf_counter() - start)
    return {"start": median(starts), "successor": median(successors)}


def _wait_until_noticed(pool: Any, pid: int) -> None:
    """A call in the instant before the pool sees the death would be the dead worker's item."""
    while any(worker.pid == pid for worker in pool.snapshot().workers):
        sleep(0.0005)


def measure_cost(kind: str, items: int) -> Figures:
    """Map with supervision and without, in turns."""
    with _open(kind, 2) as plain, _open(kind, 2, **SUPERVISED) as supervised:
        return _in_turns(lambda: supervised.rate(items), lambda: plain.rate(items))


def measure_watch(kind: str, items: int) -> Figures:
    """Map while another thread takes snapshots, and while none does, in turns."""
    with _open(kind, 2) as work:

        def watched() -> float:
            with _watching(work.pool):
                return work.rate(items)

        return _in_turns(watched, lambda: work.rate(items))


def _in_turns(one: Any, other: Any, turns: int = 5) -> Figures:
    one()
    other()
    pairs = [(one(), other()) for _ in range(turns)]
    return {"with": median(a for a, _ in pairs), "without": median(b for _, b in pairs)}


@contextmanager
def _watching(pool: Any) -> Iterator[None]:
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(1 / WATCHES_PER_SECOND):
            pool.snapshot()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def measure_snapshot(workers: int) -> Figures:
    """Take snapshots of a large idle pool: CPU time of one, the median."""
    cat = {"kind": "command", "command": ["cat"], "protocol": "lines"}
    times = []
    with command_pool("cats", cat, workers) as pool:
        pool.wait_ready()
        pool.map(["line"] * workers)
        for _ in range(30):
            start = process_time()
            pool.snapshot()
            times.append(process_time() - start)
            sleep(0.02)
    return {"seconds": median(times)}


def measure_idle(workers: int, seconds: float) -> Figures:
    """Let a pool idle: CPU time of the parent and its workers, as a share of one core."""
    recycle = {"above_memory": "2GiB"}
    with command_pool("echo", echo_worker(), workers, recycle=recycle) as pool:
        pool.wait_ready()
        sleep(1.0)
        pids = [worker.pid for worker in pool.snapshot().workers]
        used = -sum(map(_cpu_seconds, pids)) - _cpu_seconds(os.getpid())
        sleep(seconds)
        # This process first, so that reading the others' times does not count as the pool's work.
        used += _cpu_seconds(os.getpid()) + sum(map(_cpu_seconds, pids))
    return {"share": used / seconds}


def _cpu_seconds(pid: int) -> float:
    """CPU time of all the threads of a process, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
