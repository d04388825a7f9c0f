"""A worker's identity as environment variables: its slot, number and pool, and its slot's values.

Every worker has these variables, whatever program it runs; its child processes inherit them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOT, WORKER, POOL = "PROCESSPOOL_SLOT", "PROCESSPOOL_WORKER", "PROCESSPOOL_POOL"


@dataclass(frozen=True)
class Identity:
    """The common part of the identities of a pool's workers."""

    pool: str = ""
    """The name of the pool."""
    each: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The variables of `worker.each`, with the values for the slots in turn."""

    def variables(self, number: int, place: int) -> dict[str, str]:
        """Return the environment variables of the worker with this number, in this slot."""
        own = {name: values[place % len(values)] for name, values in self.each.items()}
        return {**own, SLOT: str(place), WORKER: str(number), POOL: self.pool}
