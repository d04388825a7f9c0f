"""How many items of a map a worker may have at a time: many while they are fast, two when slow.

One of them runs; those behind it hide the time of the way to the worker and back, and should take a
few milliseconds together. What waits behind a slow item is taken back for a worker that is idle.
The estimate follows the slowest recent items, so it shrinks at once and grows step by step. The
first item of each worker goes alone, since nothing is known about it.
"""

from __future__ import annotations

TARGET = 0.01
"""Seconds of work that a worker may have waiting."""
MOST = 16 * 1024
"""Items that a worker may have, however fast they are."""
GROWTH = 8
FORGET = 0.5
"""The factor by which an old, slow estimate fades with each new one."""


class Pace:
    """The pace of one map."""

    def __init__(self) -> None:
        self.window = 1
        """Items that a worker may have now."""
        self._seconds_each = 0.0

    def learn(self, items: int, seconds: float) -> None:
        """Learn that `items` items took `seconds`, by the worker's clock or including the way."""
        self._seconds_each = max(seconds / items, self._seconds_each * FORGET)
        wanted = 2 + int(TARGET / max(self._seconds_each, 1e-9))
        self.window = min(wanted, self.window * GROWTH, MOST)
