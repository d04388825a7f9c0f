"""A worker's identity as environment variables: its slot, number and pool, and its slot's values.

What these are called is in `wire/variables.py`; those of a slot are `worker.each` in the YAML.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from processpool.wire.variables import POOL_VARIABLE, SLOT_VARIABLE, WORKER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping


class Identity(NamedTuple):
    """The common part of the identities of a pool's workers."""

    pool: str = ""
    """The name of the pool."""
    each: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """The variables of `worker.each`, with the values for the slots in turn."""

    def variables(self, number: int, place: int) -> dict[str, str]:
        """Return the environment variables of the worker with this number, in this slot."""
        own = {name: values[place % len(values)] for name, values in self.each.items()}
        told = {SLOT_VARIABLE: str(place), WORKER_VARIABLE: str(number), POOL_VARIABLE: self.pool}
        return {**own, **told}
