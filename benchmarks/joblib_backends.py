"""Our backend of joblib against its own, loky: tasks of several lengths, and large arrays.

Both are asked for two workers unless a title says otherwise, with joblib's defaults, and have been
used before. Tasks that sleep need no CPU: eight workers could do 8,000 of them a second, and no
backend more.
"""

from __future__ import annotations

from importlib.util import find_spec
from statistics import median
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.harness import OURS, Case, Figures, Probe, Row, at_least
from benchmarks.peers import WORKERS
from benchmarks.units import ITEMS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOKY = "loky"
BACKENDS = {OURS: "processpool", LOKY: LOKY}
ROUNDS = 7
SECONDS = {"10us": 10e-6, "100us": 100e-6, "10ms": 0.01}
"""How long a task is, unless it takes a millisecond."""
LARGE = 4_000_000
"""Numbers in a large array: 32 MB of them."""
SLEEPERS = 8


class Work(NamedTuple):
    """What is done by both, and how."""

    items: int
    title: str
    workers: int = WORKERS
    batch_size: int | str = "auto"


WORK = {
    "tiny": Work(5_000, "tiny tasks"),
    "tiny-four": Work(5_000, "tiny tasks, 4 workers", 4),
    "10us": Work(5_000, "tasks of 10 µs"),
    "100us": Work(2_000, "tasks of 100 µs"),
    "1ms": Work(200, "tasks of 1 ms"),
    "10ms": Work(40, "tasks of 10 ms"),
    "single": Work(4, "4 tasks of 1 ms"),
    "sleep": Work(4_000, "tasks that sleep 1 ms, 8 workers", SLEEPERS),
    "sleep-single": Work(2_000, "the same with batch_size=1", SLEEPERS, 1),
    "array": Work(20, "a 32 MB array for each task"),
    "result": Work(20, "an 8 MB result of each task"),
}
LEAST = 1.0
"""What is wanted of our rate, by that of loky."""


def cases(scale: float) -> Sequence[Case]:
    """A case for each kind of work; `scale` shortens them."""
    if not find_spec("joblib"):
        return []
    return [_case(name, max(round(work.items * scale), 2)) for name, work in WORK.items()]


def _case(name: str, items: int) -> Case:
    probes = {
        label: Probe(
            "benchmarks.joblib_backends:measure",
            {"backend": backend, "work": name, "items": items},
        )
        for label, backend in BACKENDS.items()
    }
    title = WORK[name].title
    row = Row("rate", ITEMS_PER_SECOND, (LOKY,), at_least(LEAST), title)
    return Case(f"joblib-{name}", f"joblib, {title}", probes, (row,))


def measure(backend: str, work: str, items: int) -> Figures:
    """Tasks in a second, by the median of some calls of `Parallel`."""
    from joblib import Parallel, delayed, parallel_config

    import processpool.joblib  # noqa: F401 - it registers the backend

    function, argument = _work(work)
    times, batch_size = [], WORK[work].batch_size
    with parallel_config(backend=backend, n_jobs=WORK[work].workers):
        for _ in range(ROUNDS):
            began = perf_counter()
            Parallel(batch_size=batch_size)(delayed(function)(argument) for _ in range(items))
            times.append(perf_counter() - began)
    return {"rate": items / median(times[1:])}


def _work(name: str) -> tuple[Callable[[Any], Any], Any]:
    import numpy as np

    kinds: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "tiny": (abs, -1),
        "tiny-four": (abs, -1),
        "sleep": (sleep, 0.001),
        "sleep-single": (sleep, 0.001),
        "array": (look_at, np.ones(LARGE)),
        "result": (np.ones, LARGE // 4),
    }
    return kinds.get(name) or (spin, SECONDS.get(name, 0.001))


def spin(seconds: float) -> None:
    """Keep a CPU busy."""
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass


def look_at(array: Any) -> float:
    """Read a little of an array."""
    return float(array[-1])
