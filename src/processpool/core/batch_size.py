"""The number of items of a map that a worker may have at a time: many if fast, two if slow.

One of them runs; those behind it hide the round trip to the worker, and should take about 10 ms
together. Items behind a slow one are recalled for an idle worker. The estimate follows the slowest
recent items, so it shrinks at once and grows step by step. It begins with a single item, as nothing
is known yet.
"""

from __future__ import annotations

TARGET_SECONDS = 0.01
"""The seconds of work that should wait at a worker."""
MAX_WINDOW = 16 * 1024
"""The most items of a worker, however fast they are."""
MAX_GROWTH = 8
"""The greatest factor by which the number grows in one step."""
DECAY = 0.5
"""The factor by which a slow estimate decays with each new measurement."""


class Pace:
    """An estimate of how long the items of a map take, and the number of items that follows."""

    def __init__(self, target: float = TARGET_SECONDS) -> None:
        """`target` is how many seconds of work should wait at a worker."""
        self._target = target
        self.window = 1
        """The most items that a worker may have now."""
        self._seconds_each = 0.0

    def learn(self, items: int, seconds: float) -> None:
        """Update the estimate: `items` items took `seconds`, possibly with the round trip."""
        self._seconds_each = max(seconds / items, self._seconds_each * DECAY)
        wanted = 2 + int(self._target / max(self._seconds_each, 1e-9))
        self.window = min(wanted, self.window * MAX_GROWTH, MAX_WINDOW)

    def items_in(self, seconds: float) -> int:
        """Return how many items a worker is going to end in a time; 0 if nothing is known yet."""
        return int(seconds / self._seconds_each) if self._seconds_each else 0
