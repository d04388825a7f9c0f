"""How much memory workers had at most while they had an item.

The kernel keeps the peak of each process, which is read when an answer has come, and set back. That
takes some 20 µs, so it is done only as often as it costs next to nothing: items that are faster
than `SHORTEST`, and those of a pool that answers very many in a second, share a peak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.system.memory import read_peak, reset_peak

if TYPE_CHECKING:
    from processpool.engine.workers.worker import Worker

SHORTEST = 0.005
"""Seconds between two looks at a worker, at least."""
RARELY = 0.05
"""The same where items are so fast that many are answered at once;"""
MANY = 8
"""that is, more than so many in a row."""
PAUSE = 0.1
"""Seconds to the next attempt where there was no time for a look."""
COST = 25e-6
"""Seconds that a look takes."""
SHARE = 0.001
"""The part of the time that looks may take."""
MOST_CREDIT = 0.005
"""Seconds of looks that may be saved up: a short map has the peak of each of its items."""


class Peaks:
    """Looks at the memory of workers, within a budget of time. Only the leader uses it."""

    def __init__(self) -> None:
        self._credit = MOST_CREDIT
        self._at = 0.0

    def look(self, worker: Worker, now: float, items: int = 1) -> None:
        """Look at a worker's memory, if the budget allows that, or if it was never looked at.

        Args:
            worker: the worker.
            now: the time.
            items: how many it has answered lately, without a pause.
        """
        watch = worker.memory
        self._credit = min(self._credit + (now - self._at) * SHARE, MOST_CREDIT)
        self._at = now
        watch.due = now + (RARELY if items > MANY else SHORTEST)
        if self._credit < COST and watch.peak is not None:
            watch.due = now + PAUSE
            return
        self._credit -= COST
        peak = read_peak(worker.pid)
        if peak is not None:  # else it has just ended
            watch.peak, watch.is_news = peak, True
            reset_peak(worker.pid)
