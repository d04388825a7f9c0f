"""What the stretches of a map add up to: exact, and of the same size however many there are."""

from __future__ import annotations

from typing import NamedTuple

from processpool.core.log_bins import LogBins
from processpool.core.time_bins import TimeBins

ALL = -1
"""The key of what concerns all slots."""


class Stretch(NamedTuple):
    """A time in which one worker had items of a map; fast ones that followed each other share it.

    Times are monotonic seconds.
    """

    slot: int
    worker_id: int
    first: int
    """The index of its first item; the others need not follow this one."""
    items: int
    """How many it has."""
    failed: int
    """How many of its items have failed."""
    since: float
    until: float
    wait: float
    """Seconds for which its first item had waited to be handed to the worker."""

    @property
    def each(self) -> float:
        """Seconds for which the worker had each of its items."""
        return (self.until - self.since) / self.items


class RunTotals:
    """What stretches add up to."""

    def __init__(self, began: float) -> None:
        """Begin at a monotonic time, with nothing."""
        self.items = 0
        self.failed = 0
        self.runs = LogBins()
        """The seconds for which workers had each item."""
        self.waits = LogBins()
        """The seconds for which items had waited to be handed over."""
        self.busy = TimeBins(began)
        """By slot, the seconds in which it had items."""
        self.done = TimeBins(began)
        """How many items have ended, of all slots."""
        self.failures = TimeBins(began)
        """How many of them have failed."""
        self.last_begin = began
        """When the last stretch had begun: after that, nothing was left to hand out."""
        self.last_ends: dict[int, float] = {}
        """By slot, when its last stretch had ended."""

    def add(self, stretch: Stretch) -> None:
        """Add one."""
        slot, _, _, count, failed, since, until, wait = stretch
        self.items += count
        self.failed += failed
        self.runs.add((until - since) / count, count)
        self.waits.add(wait, count)
        self.busy.spread(slot, since, until)
        self.done.add(ALL, until, count)
        if failed:
            self.failures.add(ALL, until, failed)
        self.last_begin = max(self.last_begin, since)
        self.last_ends[slot] = max(until, self.last_ends.get(slot, until))

    def copy(self) -> RunTotals:
        """Return a copy that goes its own way."""
        other = RunTotals(self.busy.began)
        other.items, other.failed = self.items, self.failed
        other.runs, other.waits = self.runs.copy(), self.waits.copy()
        other.busy, other.done = self.busy.copy(), self.done.copy()
        other.failures = self.failures.copy()
        other.last_begin, other.last_ends = self.last_begin, self.last_ends.copy()
        return other
