"""The maps of one pool, as the displays see them: those in progress, and the last that ended."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from processpool.core.snapshot import MapSnapshot

REMEMBERED = 3
"""Ended maps that are remembered."""


class MapInProgress(Protocol):
    """What the displays need of a map."""

    def snapshot(self) -> MapSnapshot:
        """Return how far it is."""

    def stop(self) -> None:
        """End it from outside: its consumer gets `CancelledError`."""


class Maps:
    """The maps of one pool."""

    def __init__(self) -> None:
        self.running: dict[int, MapInProgress] = {}
        """Those in progress, by number."""
        self.ended: deque[MapSnapshot] = deque(maxlen=REMEMBERED)
        """The last few that have ended, the newest last."""
