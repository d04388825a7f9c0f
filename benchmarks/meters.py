"""Measuring in a probe: times of single calls, rates, and how far this process's memory grows."""

from __future__ import annotations

import os
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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


def rate(work: Callable[[], Sequence[object]]) -> float:
    """Answers per second of `work`, which returns them all."""
    start = perf_counter()
    answers = work()
    return len(answers) / (perf_counter() - start)


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
