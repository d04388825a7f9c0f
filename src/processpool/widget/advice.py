"""Advice on the maps of a pool: the verdict of the report, as long as it holds.

To judge a map of many items takes a moment, so it is done rarely: the longer it took the last time,
the later it is done again.
"""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, Any

from processpool.api.leaves import leaf
from processpool.system.text import escape_control

if TYPE_CHECKING:
    from processpool.api.view import PoolView
    from processpool.core.snapshot import MapSnapshot, PoolSnapshot

JUDGED_AFTER = 5.0
"""Seconds that a map must have run before it is judged."""
WORTH_A_WORD = 1.0
"""Seconds that a map must have taken for anything to be said of it once it has ended."""
JUDGED_EVERY = 5.0
"""Seconds between two times, at least;"""
IDLE_FACTOR = 500
"""and so many times what judging has taken."""
LONGEST = 400
"""The most characters of a line."""

Line = list[str]
"""The advice, and the figures that it rests on."""


class Adviser:
    """What there is to say of one pool's maps. Not thread-safe."""

    def __init__(self) -> None:
        self.line: Line | None = None
        """What there is to say now; None if there is nothing."""
        self._judged: tuple[int, bool] | None = None
        """The map that was judged last, and whether it ran still."""
        self._next = 0.0

    def look(self, pool: PoolView, snapshot: PoolSnapshot) -> None:
        """Judge the map that runs, or else the last one that did, if it is time to."""
        runs = [run for run in snapshot.maps if run.seconds >= JUDGED_AFTER][:1]
        if not snapshot.maps:
            runs = [*snapshot.ended_maps[-1:]]
        for run in runs:
            this = run.id, bool(snapshot.maps)
            if this != self._judged or (this[1] and snapshot.at >= self._next):
                self._judged = this
                self._judge(pool, run, snapshot.at)

    def _judge(self, pool: PoolView, run: MapSnapshot, now: float) -> None:
        began = thread_time()
        self.line = _line(pool, run) if run.seconds >= WORTH_A_WORD else None
        self._next = now + max(JUDGED_EVERY, IDLE_FACTOR * (thread_time() - began))


def _line(pool: PoolView, run: MapSnapshot) -> Line | None:
    """Return the advice on one map."""
    found = [record for record in pool.records() if record.number == run.id]
    advice: Any = leaf("report").advise(found[0]) if found else None
    if advice is None:
        return None
    return [escape_control(f"{run.label}: {advice.line}")[:LONGEST], advice.why[:LONGEST]]
