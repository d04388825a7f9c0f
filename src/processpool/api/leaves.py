"""The leaves: what builds on the pool's public interface, found by name when first used.

The front door registers them. So a pool can be displayed, traced and used as an executor, although
nothing in this room imports the code for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_homes: dict[str, str] = {}
"""Leaf → its module."""


def register(homes: Mapping[str, str]) -> None:
    """Make leaves known, by the names of their modules; nothing is imported yet."""
    _homes.update(homes)


def leaf(name: str) -> Any:
    """Return the module of a leaf.

    Raises:
        LookupError: nobody has registered it.
    """
    if name not in _homes:
        raise LookupError(f"no {name} is registered: take ProcessPool from `processpool` itself")
    return import_module(_homes[name])
