"""A registry of the leaves: packages on top of this one, imported by name when first used.

`processpool/__init__.py` registers them. So a pool can be displayed, traced and used as an executor
although this package does not import the code for it.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_homes: dict[str, str] = {}
"""The leaves' modules, by name."""


def register(homes: Mapping[str, str]) -> None:
    """Register leaves, as a mapping of name to module name; nothing is imported yet."""
    _homes.update(homes)


def leaf(name: str) -> Any:
    """Import and return the module of a leaf.

    Raises:
        LookupError: it is not registered.
    """
    if name not in _homes:
        raise LookupError(f"no {name} is registered: take ProcessPool from `processpool` itself")
    return import_module(_homes[name])
