"""Finds out when a program that does not say so is ready for its first request.

It is ready when it sleeps in a read from a pipe, or when it has slept for a while without using any
CPU time: a runtime that polls its input, or a program that is not interested in it yet. A program
that is still loading does neither. A worker under `serve` says so itself, and is not probed.
"""

from __future__ import annotations

from processpool.system.process import cpu_ticks, waits_for_input

FIRST = 0.001
LAST = 0.032
"""Seconds between two looks: doubling from the first to the last."""
ASLEEP = 0.1
"""Seconds of sleep after which a program counts as ready."""


class Probe:
    """Looks at one starting process now and then."""

    def __init__(self, pid: int, now: float) -> None:
        self.next_at = now + FIRST
        self._pid = pid
        self._interval = FIRST
        self._ticks: int | None = None
        self._asleep_since = now

    def is_ready(self, now: float) -> bool:
        """True if the process awaits a request; otherwise `next_at` says when to look again."""
        if waits_for_input(self._pid):
            return True
        ticks = cpu_ticks(self._pid)
        if ticks is None or ticks != self._ticks:
            self._ticks = ticks
            self._asleep_since = now
        elif now - self._asleep_since >= ASLEEP:
            return True
        self._interval = min(self._interval * 2, LAST)
        self.next_at = now + self._interval
        return False
