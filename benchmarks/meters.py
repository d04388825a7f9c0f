"""Measuring in a probe: times of single calls, rates, and how far this process's memory grows."""

from __future__ import annotations

import os
import resource
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PAGE = os.sysconf("SC_PAGE_SIZE")
PIECES = 3
"""So often in a row is a rate taken; the best counts, for the rest of the machine only slows."""
_MEMORY_EVERY = 5_000
"""Items between two looks at the memory."""


def p50(call: Callable[[], object], repeats: int) -> float:
    """Median time of one call, in seconds, after a tenth as many calls to warm up."""
    for _ in range(max(repeats // 10, 1)):
        call()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return median(times)


def median_for(call: Callable[[], object], seconds: float) -> float:
    """Median time of one call, called for so many seconds after a fifth of that to warm up."""
    _times(call, seconds / 5)
    return median(_times(call, seconds))


def _times(call: Callable[[], object], seconds: float) -> list[float]:
    times = []
    now = perf_counter()
    end = now + seconds
    while now < end:
        call()
        before, now = now, perf_counter()
        times.append(now - before)
    return times


@dataclass(frozen=True)
class Load:
    """Work that can be done in any amount; only `run` is timed."""

    prepare: Callable[[int], Any]
    """What `run` takes for so many items."""
    run: Callable[[Any], Any]
    count: Callable[[Any, Any], int]
    """How many items were done, by what `run` took and what it returned; raises if wrongly."""
    warm_up: int = 1_000

    def figures(self, seconds: float) -> dict[str, float]:
        """Run for about so many seconds: `rate`, items a second; `cpu`, our CPU time an item.

        The CPU time is that of all the threads of this process, not that of its workers.
        """
        self._timed(self.warm_up)
        rate = self._timed(self.warm_up)["rate"]
        items = max(round(seconds * rate / PIECES), self.warm_up)
        pieces = [self._timed(items) for _ in range(PIECES)]
        return {
            "rate": max(piece["rate"] for piece in pieces),
            "cpu": min(piece["cpu"] for piece in pieces),
        }

    def _timed(self, items: int) -> dict[str, float]:
        prepared = self.prepare(items)
        before, start = _cpu_seconds(), perf_counter()
        result = self.run(prepared)
        took, used = perf_counter() - start, _cpu_seconds() - before
        done = self.count(prepared, result)
        return {"rate": done / took, "cpu": used / done}


def rate_of_threads(work: Callable[[int], int], threads: int, seconds: float) -> float:
    """Items a second of so many threads together.

    Args:
        work: does some items, for the thread of the given number, and returns how many.
        threads: how many of them.
        seconds: for how long, after a fifth of that to warm up.
    """
    with ThreadPoolExecutor(threads) as pool:

        def run(duration: float) -> float:
            start = perf_counter()
            end = start + duration
            shares = pool.map(lambda number: _items_until(end, work, number), range(threads))
            return sum(shares) / (perf_counter() - start)

        run(seconds / 5)
        return max(run(seconds / PIECES) for _ in range(PIECES))


def _items_until(end: float, work: Callable[[int], int], number: int) -> int:
    done = 0
    while perf_counter() < end:
        done += work(number)
    return done


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident() -> int:
    """Resident memory of this process, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * _PAGE


def memory_growth(answers: Callable[[], Iterable[object]], expected: int) -> float:
    """Read all the answers and return by how many bytes the resident memory rose at most."""
    before = peak = resident()
    count = 0
    for _ in answers():
        count += 1
        if count % _MEMORY_EVERY == 1:
            peak = max(peak, resident())
    if count != expected:
        raise ValueError(f"{count} answers to {expected} items")
    return float(max(peak, resident()) - before)
