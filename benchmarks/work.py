"""What the workers do in the benchmarks: as little as a case allows."""

from __future__ import annotations

import os
import sys
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    Array = NDArray[float64]

_DOUBLES_PER_PAGE = 512
_own: dict[int, Array] = {}


def inc(number: int) -> int:
    """Add one: the trivial function."""
    return number + 1


def spin(seconds: float) -> float:
    """Be busy for so long by the clock."""
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass
    return seconds


def touch(array: Array) -> float:
    """Read one number in every page of an array, so that all of it must have arrived."""
    return float(array[::_DOUBLES_PER_PAGE].sum())


def exchange(array: Array) -> Array:
    """Read an array and return another of the same length, made once in each worker."""
    touch(array)
    size = array.size
    if size not in _own:
        _own[size] = array.copy()
    return _own[size]


def process_id(_item: object = None) -> int:
    """Which process runs this item."""
    return os.getpid()


def loaded_modules(_item: object = None) -> list[str]:
    """Every module that this process has imported, in the order of their import."""
    return list(sys.modules)
