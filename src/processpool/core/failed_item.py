"""An item that has failed, as it is kept for displays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from processpool.core.jobs import Attempt

if TYPE_CHECKING:
    from processpool.core.outcome import Outcome


@dataclass(slots=True)
class FailedItem:
    """An item that has failed."""

    number: int
    """Counts the failures of the pool, from 1."""
    text: str
    """The error's class and message."""
    known: Attempt | Outcome
    map: str = ""
    """The name of its map."""
    function: str = ""
    """The name of the function that it called, if it called one."""
    retry: Any = None
    """What runs it again; None if that cannot be done."""

    @property
    def record(self) -> Outcome:
        """Its record; making it may run the user's code."""
        return self.known.record if isinstance(self.known, Attempt) else self.known
