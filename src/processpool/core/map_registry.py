"""The maps of a pool for displays: the running ones, and the last few that ended."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from processpool.core.run_record import RunRecord
    from processpool.core.snapshot import MapSnapshot

MAX_ENDED = 3
"""The number of ended maps that are kept."""


class MapInProgress(Protocol):
    """A running map, as displays use it."""

    def snapshot(self) -> MapSnapshot:
        """Return a snapshot of its progress."""

    def look(self) -> RunRecord:
        """Return how it has run so far."""

    def stop(self) -> None:
        """Stop the map: its consumer gets `CancelledError`."""


class Maps:
    """The maps of a pool."""

    def __init__(self) -> None:
        self.running: dict[int, MapInProgress] = {}
        """The running maps, by number."""
        self.ended: deque[MapSnapshot] = deque(maxlen=MAX_ENDED)
        """The last few that have ended, the newest last; without very short ones."""
        self.recorded: deque[RunRecord] = deque(maxlen=MAX_ENDED)
        """How the last few have run, the newest last."""

    def records(self) -> tuple[RunRecord, ...]:
        """Return how the last few maps have run, then how those run that are in progress."""
        return (*self.recorded, *(run.look() for run in list(self.running.values())))
