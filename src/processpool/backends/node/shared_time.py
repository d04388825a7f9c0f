"""The time of a node, divided among the batches that it has at a time.

Two batches that overlap would each count what they share, so that each would seem to take longer
than the node needs for it, and the next ones would be made too small.
"""

from __future__ import annotations

import threading
from time import monotonic


class SharedTime:
    """A clock that runs the slower, the more batches share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sharers = 0
        self._passed = 0.0
        self._looked_at = monotonic()

    def enter(self) -> float:
        """Begin to share; return the time by this clock."""
        with self._lock:
            now = self._now()
            self._sharers += 1
            return now

    def leave(self, entered: float) -> float:
        """End what `enter` has begun; return one's share of the seconds since then."""
        with self._lock:
            share = self._now() - entered
            self._sharers -= 1
            return share

    def _now(self) -> float:
        now = monotonic()
        self._passed += (now - self._looked_at) / max(self._sharers, 1)
        self._looked_at = now
        return self._passed
