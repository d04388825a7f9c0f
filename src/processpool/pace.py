"""How many items of a map a worker may have at a time: many while they are fast, one when slow.

The items that travel together should take a few milliseconds: enough to hide the way to the worker
and back, and little enough that no worker is idle while another has items to spare. The estimate
follows the slowest of late, so it shrinks at once and grows step by step.
"""

from __future__ import annotations

TARGET = 0.005
"""Seconds of work that a worker may have before it."""
MOST = 8192
"""Items that a worker may have, however fast they are."""
GROWTH = 8
FORGET = 0.8
"""The factor by which an old, slow estimate fades with each new one."""


class Pace:
    """The pace of one map."""

    def __init__(self) -> None:
        self.window = 1
        """Items that a worker may have now."""
        self._seconds_each = 0.0

    def learn(self, items: int, seconds: float) -> None:
        """So many items took so long, the way to the worker and back included."""
        self._seconds_each = max(seconds / items, self._seconds_each * FORGET)
        wanted = 1 + int(TARGET / max(self._seconds_each, 1e-9))
        self.window = min(wanted, self.window * GROWTH, MOST)
