"""Amounts over time, by key, in a fixed number of bins that grow as the time does."""

from __future__ import annotations

from array import array
from itertools import starmap
from operator import add

BINS = 128
"""Bins, from the beginning to the latest time; at least half of them are in use, if it is late."""
FIRST_WIDTH = 0.001
"""Seconds of a bin at first; it doubles when the bins do not suffice."""


class TimeBins:
    """Sums over time, such as the seconds in which a slot was busy; or the largest of each time."""

    __slots__ = ("_is_sum", "began", "rows", "width")

    def __init__(self, began: float, *, largest: bool = False) -> None:
        """Begin at a monotonic time; with `largest`, bins keep the largest amount, not the sum."""
        self.began = began
        self.width = FIRST_WIDTH
        self.rows: dict[int, array[float]] = {}
        """By key, the amounts of all bins."""
        self._is_sum = not largest

    def copy(self) -> TimeBins:
        """Return a copy that goes its own way."""
        other = TimeBins(self.began, largest=not self._is_sum)
        other.width = self.width
        other.rows = {key: row[:] for key, row in self.rows.items()}
        return other

    def add(self, key: int, at: float, amount: float) -> None:
        """Something has happened at this time."""
        place, row = self._place(at), self._row(key)
        row[place] = row[place] + amount if self._is_sum else max(row[place], amount)

    def spread(self, key: int, since: float, until: float) -> None:
        """Add the seconds of a time to the bins that it is in."""
        last, first = self._place(until), self._place(since)
        row = self._row(key)
        if first == last:
            row[first] += until - since
            return
        began, width = self.began, self.width
        row[first] += began + (first + 1) * width - since
        for place in range(first + 1, last):
            row[place] += width
        row[last] += until - began - last * width

    def used(self, until: float) -> int:
        """Return how many bins there are up to a time."""
        return self._place(until) + 1

    def _row(self, key: int) -> array[float]:
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = array("d", bytes(8 * BINS))
        return row

    def _place(self, at: float) -> int:
        place = int((at - self.began) / self.width)
        while place >= BINS:
            self._widen()
            place = int((at - self.began) / self.width)
        return max(place, 0)

    def _widen(self) -> None:
        self.width *= 2
        join = add if self._is_sum else max
        for key, row in self.rows.items():
            pairs = zip(row[::2], row[1::2], strict=True)
            self.rows[key] = array("d", starmap(join, pairs)) + array("d", bytes(4 * BINS))
