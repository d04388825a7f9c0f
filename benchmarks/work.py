"""What the workers do in the benchmarks: as little as a case allows.

Only built-in modules are imported, not even `typing`: a worker's imports and memory are measured.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    Array = NDArray[float64]

_DOUBLES_PER_PAGE = 512
_own: dict[int, Array] = {}


def inc(number: int) -> int:
    """Add one: the trivial function."""
    return number + 1


def scale(number: float) -> float:
    """The trivial function of floats."""
    return number * 1.5


def join(text: str) -> str:
    """The trivial function of short strings."""
    return text + "!"


def spin(seconds: float) -> float:
    """Be busy for so long by the clock, and return how long it really was."""
    start = perf_counter()
    while perf_counter() - start < seconds:
        pass
    return perf_counter() - start


def doze(seconds: float) -> None:
    """Take so long, and hardly any CPU time."""
    sleep(seconds)


def add_up(numbers: int) -> int:
    """Use the CPU for an amount of work, not of time."""
    return sum(range(numbers))


def touch(array: Array) -> float:
    """Read one number in every page of an array, so that all of it must have arrived."""
    return float(array[::_DOUBLES_PER_PAGE].sum())


def exchange(array: Array) -> Array:
    """Read an array and return another of the same length, made once in each worker.

    Its first number is what was read, so that each answer is a new one.
    """
    size = array.size
    if size not in _own:
        _own[size] = array.copy()
    _own[size][0] = touch(array)
    return _own[size]


def give(size_and_first: tuple[int, float]) -> Array:
    """Return an array of so many numbers, made once in each worker, and what is to be its first."""
    size, first = size_and_first
    if size not in _own:
        from numpy import ones

        _own[size] = ones(size)
    _own[size][0] = first
    return _own[size]


def process_id(_item: object = None) -> int:
    """Which process runs this item."""
    return os.getpid()


def loaded_modules(_item: object = None) -> list[str]:
    """Every module that this process has imported, in the order of their import."""
    return list(sys.modules)


def pause_and_inc(seconds: float, number: int) -> int:
    """Be busy for so long, and add one."""
    spin(seconds)
    return number + 1
