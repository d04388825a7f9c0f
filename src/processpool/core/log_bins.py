"""Counts of positive numbers by their size, in bins of 5 %: percentiles of any number of them."""

from __future__ import annotations

from math import floor, log10

PER_DECADE = 48
"""The bins from one power of ten to the next."""
LEAST = 1e-7
"""Smaller numbers are counted as this one."""
FEW_BOUNDS = [step * 10.0**power for power in range(-5, 3) for step in (1, 2.5, 5)]
"""Bounds in seconds, from 10 µs to 500 s, for those who count in few bins of their own."""


class LogBins:
    """How often numbers of each size have come; their sum and the largest are exact."""

    __slots__ = ("bins", "count", "largest", "total")

    def __init__(self) -> None:
        self.bins: dict[int, int] = {}
        """By bin: how many numbers are in it. Bin 0 begins at 1."""
        self.count = 0
        self.total = 0.0
        self.largest = 0.0

    def add(self, number: float, times: int = 1) -> None:
        """A number has come, so many times."""
        place = floor(log10(number) * PER_DECADE) if number > LEAST else _LOWEST
        self.bins[place] = self.bins.get(place, 0) + times
        self.count += times
        self.total += number * times
        if number > self.largest:
            self.largest = number

    def copy(self) -> LogBins:
        """Return a copy that goes its own way."""
        other = LogBins()
        other.bins = self.bins.copy()
        other.count, other.total, other.largest = self.count, self.total, self.largest
        return other

    @property
    def mean(self) -> float:
        """The mean; 0 of nothing."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """Return the number below which so many percent are, within 3 %; 0 of nothing."""
        if not self.count:
            return 0.0
        left = self.count * percent / 100
        for place in sorted(self.bins):
            left -= self.bins[place]
            if left <= 0:
                return min(10 ** ((place + 0.5) / PER_DECADE), self.largest)
        return self.largest


_LOWEST = floor(log10(LEAST) * PER_DECADE)
