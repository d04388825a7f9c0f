"""The two clocks: one for lengths of time, and one that people read."""

from __future__ import annotations

from time import monotonic, time


def wall_clock(at: float) -> float:
    """Return what `time.time()` was when `time.monotonic()` was this."""
    return at + time() - monotonic()
