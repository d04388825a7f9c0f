"""Units of figures: how one is written, and whether more of it is better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A unit such as `items/s`; `scale` turns the measured SI figure into what is written."""

    name: str
    more_is_better: bool
    scale: float = 1.0

    def format(self, figure: float) -> str:
        """Write a figure with three digits and its unit."""
        value = figure * self.scale
        if self.name.endswith("/s") and self.scale == 1.0:
            return _with_prefix(value) + self.name
        return f"{_three_digits(value)} {self.name}".rstrip()


def _with_prefix(value: float) -> str:
    for bound, prefix in ((1e6, "M "), (1e4, "k ")):
        if value >= bound:
            return _three_digits(value / (1e6 if prefix == "M " else 1e3)) + " " + prefix
    return _three_digits(value) + " "


def _three_digits(value: float) -> str:
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


ITEMS_PER_SECOND = Unit("items/s", more_is_better=True)
GIGABYTES_PER_SECOND = Unit("GB/s", more_is_better=True, scale=1e-9)
MEGABYTES_PER_SECOND = Unit("MB/s", more_is_better=True, scale=1e-6)
MICROSECONDS = Unit("µs", more_is_better=False, scale=1e6)
MILLISECONDS = Unit("ms", more_is_better=False, scale=1e3)
MEGABYTES = Unit("MB", more_is_better=False, scale=1e-6)
PER_CENT = Unit("%", more_is_better=True, scale=100.0)
PER_CENT_COST = Unit("%", more_is_better=False, scale=100.0)
COUNT = Unit("", more_is_better=False)
