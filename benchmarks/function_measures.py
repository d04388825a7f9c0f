"""One round of each measurement of a pool of Python functions, whichever pool it is.

Each function runs in a probe's process, opens the pool called `peer`, and returns its figures.
"""

from __future__ import annotations

import heapq
import os
import random
import subprocess
import sys
from importlib import import_module
from itertools import repeat
from math import exp, log
from statistics import median
from time import perf_counter, sleep
from typing import TYPE_CHECKING

from benchmarks.meters import memory_growth, p50
from benchmarks.peers import MODULES, WORKERS, large_chunk, make_ours, open_peer
from benchmarks.placement import FREE, Placement, children
from benchmarks.work import exchange, give, inc, loaded_modules, process_id, spin, touch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from benchmarks.harness import Figures
    from benchmarks.work import Array

_DOUBLE = 8


def measure_map(peer: str, items: int, chunks: bool = False) -> Figures:
    """Map the trivial function over integers: items a second."""
    with open_peer(peer, chunk=large_chunk(items) if chunks else None) as pool:
        pool.wait_ready()
        pool.map(inc, range(items // 10))
        start = perf_counter()
        answers = pool.map(inc, range(items))
        seconds = perf_counter() - start
    if answers != list(range(1, items + 1)):
        raise ValueError("wrong answers")
    return {"rate": items / seconds}


def measure_call(peer: str, calls: int, placement: str = FREE) -> Figures:
    """Call the trivial function, one item at a time: the median time."""
    place = Placement(placement)
    with open_peer(peer) as pool:
        pool.wait_ready()
        pool.call(inc, 1)
        place.place_children(children())
        return {"p50": p50(lambda: pool.call(inc, 1), calls)}


def measure_memory(peer: str, items: int) -> Figures:
    """Read the answers to a lazy generator: how far this process's memory rises, in bytes."""
    with open_peer(peer) as pool:
        pool.wait_ready()
        pool.map(inc, range(1_000))
        lazy = (number for number in range(items))
        return {"growth": memory_growth(lambda: pool.imap(inc, lazy), items)}


def measure_makespan(peer: str, durations: str, items: int) -> Figures:
    """Map over busy items of known durations: the ideal time, divided by the time it took.

    Returns:
        `efficiency`, by the durations asked for, which a busy machine stretches; and `busy`, by
        those that the items had, which leaves what the pool itself added between them.
    """
    asked = _DURATIONS[durations](items)
    with open_peer(peer) as pool:
        pool.wait_ready()
        pool.map(spin, [0.0001] * 100)
        start = perf_counter()
        lasted = pool.map(spin, asked)
        took = perf_counter() - start
    return {
        "efficiency": ideal_makespan(asked, WORKERS) / took,
        "busy": ideal_makespan(lasted, WORKERS) / took,
    }


def bare_makespan(durations: str, items: int) -> Figures:
    """Run the items in two forked processes that know their shares beforehand, without any pool."""
    asked = _DURATIONS[durations](items)
    shares = _shares(asked, WORKERS)
    start = perf_counter()
    for share in shares:
        if os.fork() == 0:
            for duration in share:
                spin(duration)
            os._exit(0)
    for _ in shares:
        os.wait()
    return {"efficiency": ideal_makespan(asked, WORKERS) / (perf_counter() - start)}


def ideal_makespan(durations: Sequence[float], workers: int) -> float:
    """How long the items take, in this order, when a free worker always takes the next at once."""
    return max(map(sum, _shares(durations, workers)))


def _shares(durations: Sequence[float], workers: int) -> list[list[float]]:
    shares: list[list[float]] = [[] for _ in range(workers)]
    free_at = [(0.0, number) for number in range(workers)]
    for duration in durations:
        moment, number = free_at[0]
        shares[number].append(duration)
        heapq.heapreplace(free_at, (moment + duration, number))
    return shares


def _mixed(items: int) -> list[float]:
    """From 0.01 to 100 ms, evenly spread over the orders of magnitude; the same in every run."""
    source = random.Random(0)
    return [exp(source.uniform(log(1e-5), log(1e-1))) for _ in range(items)]


_DURATIONS: dict[str, Callable[[int], list[float]]] = {
    "10 µs": lambda items: list(repeat(0.000_010, items)),
    "30 µs": lambda items: list(repeat(0.000_030, items)),
    "100 µs": lambda items: list(repeat(0.000_100, items)),
    "1 ms": lambda items: list(repeat(0.001, items)),
    "10 ms": lambda items: list(repeat(0.010, items)),
    "mixed": _mixed,
}


def measure_array(peer: str, size: int, repeats: int, both_ways: bool) -> Figures:
    """Send arrays of `size` bytes, each a new one: bytes of the array a second, the median."""
    import numpy as np

    first = np.random.default_rng(0).random(size // _DOUBLE)
    function: Callable[[Array], Any] = exchange if both_ways else touch
    times = []
    with open_peer(peer) as pool:
        pool.wait_ready()
        for number in range(2 * WORKERS + repeats):
            array = first.copy()
            array[0] = number
            start = perf_counter()
            read = _what_was_read(pool.call(function, array), both_ways)
            times.append(perf_counter() - start)
            if read != touch(array):
                raise ValueError("wrong answer")
    return {"rate": size / median(times[2 * WORKERS :])}


def measure_array_out(size: int, repeats: int) -> Figures:
    """Call a function that returns an array of `size` bytes: bytes a second, the median.

    It is read, a number in every page, as the copy that it is compared with is.
    """
    times = []
    with open_peer("processpool") as pool:
        pool.wait_ready()
        for number in range(2 * WORKERS + repeats):
            start = perf_counter()
            array = pool.call(give, (size // _DOUBLE, number))
            touch(array)
            times.append(perf_counter() - start)
            if array[0] != number or array.nbytes != size:
                raise ValueError("wrong answer")
            del array
    return {"rate": size / median(times[2 * WORKERS :])}


def _what_was_read(answer: Any, is_array: bool) -> float:
    """Look at every page of what came back, as its user would."""
    if not is_array:
        return float(answer)
    touch(answer)
    return float(answer[0])


def measure_first_answer(peer: str) -> Figures:
    """Open a pool in this fresh process and call once: `seconds` to the answer.

    Importing the library, and building our pool from its configuration, come before.
    """
    import_module(MODULES[peer.partition(" ")[0]])
    if peer == "processpool":
        pool = make_ours()
        start = perf_counter()
        with pool:
            pool.call(inc, 1)
            return {"seconds": perf_counter() - start}
    start = perf_counter()
    with open_peer(peer) as opened:
        opened.call(inc, 1)
        return {"seconds": perf_counter() - start}


def one_answer(peer: str) -> None:
    """What the script of `measure_script` does."""
    with open_peer(peer) as pool:
        if pool.call(inc, 1) != 2:
            raise ValueError("wrong answer")


def measure_script(peer: str, repeats: int) -> Figures:
    """Run a script that imports the library, calls a function once, and ends: `seconds` in all."""
    code = f"from benchmarks.function_measures import one_answer; one_answer({peer!r})"
    times = []
    for _ in range(repeats):
        start = perf_counter()
        _python(code)
        times.append(perf_counter() - start)
    return {"seconds": median(times)}


def measure_import(statement: str, repeats: int) -> Figures:
    """Run an import statement in fresh interpreters: `seconds`, the median."""
    return {"seconds": median(_timed_import(statement) for _ in range(repeats))}


def _timed_import(statement: str) -> float:
    code = (
        f"from time import perf_counter\nstart = perf_counter()\n{statement}\n"
        "print(perf_counter() - start)"
    )
    return float(_python(code))


def _python(code: str) -> str:
    """What a fresh interpreter prints when it runs `code`; its error is raised here."""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError((result.stderr.splitlines() or ["no message"])[-1])
    return result.stdout


def measure_worker_import(repeats: int) -> Figures:
    """Import, in fresh interpreters, all that our worker has imported: `seconds`, and how many."""
    with open_peer("processpool") as pool:
        loaded: list[str] = pool.call(loaded_modules, None)
    bare = _python("import sys; print(*sys.modules)").split()
    benchmark = ("benchmarks", "__main__", "__mp_main__")
    modules = [name for name in loaded if name not in bare and not name.startswith(benchmark)]
    statement = f"""
from contextlib import suppress
for module in {modules!r}:
    with suppress(ImportError):
        __import__(module)
"""
    seconds = median(_timed_import(statement) for _ in range(repeats))
    return {"seconds": seconds, "modules": float(len(modules))}


def measure_restarts(peer: str, items: int) -> Figures:
    """Map with a new worker for every item: items a second, after checking that they were new."""
    with open_peer(peer, one_item=True) as pool:
        pool.wait_ready()
        start = perf_counter()
        workers = pool.map(process_id, range(items))
        seconds = perf_counter() - start
    if len(set(workers)) < 0.99 * items:
        raise ValueError(f"{len(set(workers))} workers for {items} items")
    return {"rate": items / seconds}


def measure_idle_memory(peer: str) -> Figures:
    """Memory that is an idle worker's own (USS) after it ran a trivial function, in bytes."""
    import psutil

    from benchmarks.yardsticks import bare_memory

    with open_peer(peer) as pool:
        pool.wait_ready()
        pids = set(pool.map(process_id, range(100)))
        sleep(0.2)
        own = median(psutil.Process(pid).memory_full_info().uss for pid in pids)
    return {"uss": own, "beyond": own - bare_memory()["uss"]}
