"""Maps that have ended. A snapshot has only those in progress, so their end is seen afterwards.

How far such a map came is worked out from the pool's totals. Between two looks several may have
worked: it counts as complete if what was done meanwhile is enough for that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processpool.snapshot import MapSnapshot, PoolSnapshot

KEPT = 3
"""Maps that are remembered."""


class Ended:
    """The last few maps that have ended, the newest last."""

    def __init__(self) -> None:
        self.maps: deque[MapSnapshot] = deque(maxlen=KEPT)
        self._before: PoolSnapshot | None = None

    def note(self, snapshot: PoolSnapshot) -> None:
        """Take in a snapshot."""
        before, self._before = self._before, snapshot
        if before is None or not before.maps:
            return
        going_on = {run.id for run in snapshot.maps}
        gone = [run for run in before.maps if run.id not in going_on]
        half = (snapshot.at - before.at) / 2  # it ended at some time between the two looks
        for run in gone:
            seen = replace(run, seconds=run.seconds + half)
            self.maps.append(_finished(seen, before, snapshot) if len(gone) == 1 else seen)


def _finished(run: MapSnapshot, before: PoolSnapshot, now: PoolSnapshot) -> MapSnapshot:
    """The map with what has ended since it was seen last, as far as no map that goes on has it."""
    last = {each.id: each for each in before.maps}
    news = [(other, last.get(other.id)) for other in now.maps]
    answered = now.finished - before.finished
    failed = now.failed - before.failed  # answered with an error, or lost
    if run.total is not None and run.done + answered + failed >= run.total:
        done = run.total
    else:
        done = run.done + max(answered - sum(o.done - (b.done if b else 0) for o, b in news), 0)
    failed = max(failed - sum(o.failed - (b.failed if b else 0) for o, b in news), 0)
    return replace(run, done=done, failed=min(run.failed + failed, done))
