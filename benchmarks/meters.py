"""Measuring in a probe: times of single calls, rates, and how far this process's memory grows."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PAGE = os.sysconf("SC_PAGE_SIZE")
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
    """Work that can be done in any amount: `run(count)` does so many items, or some more.

    It returns how many it did.
    """

    run: Callable[[int], int]
    warm_up: int = 1_000

    def figures(self, seconds: float) -> dict[str, float]:
        """Run for about so many seconds: `rate`, items a second; `cpu`, our CPU time an item.

        The CPU time is that of all the threads of this process, not that of its workers.
        """
        self.run(self.warm_up)
        start = perf_counter()
        self.run(self.warm_up)
        count = round(seconds * self.warm_up / (perf_counter() - start))
        start, before = perf_counter(), _cpu_seconds()
        done = self.run(max(count, self.warm_up))
        took, used = perf_counter() - start, _cpu_seconds() - before
        return {"rate": done / took, "cpu": used / done}


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
