"""Who a worker is, in its environment: its slot, its number, its pool, and what its slot has.

Every worker has these variables, whatever program it is; the processes that it starts inherit them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOT, WORKER, POOL = "PROCESSPOOL_SLOT", "PROCESSPOOL_WORKER", "PROCESSPOOL_POOL"


@dataclass(frozen=True)
class Identity:
    """What the workers of one pool are told of who they are."""

    pool: str = ""
    """The name of the pool."""
    each: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Variables with the values that the slots have in turn."""

    def variables(self, number: int, place: int) -> dict[str, str]:
        """The variables of the worker of this number, in this slot."""
        own = {name: values[place % len(values)] for name, values in self.each.items()}
        return {**own, SLOT: str(place), WORKER: str(number), POOL: self.pool}
