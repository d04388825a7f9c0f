"""What is remembered of an item, so that a line can say later which one it was.

It is small, and keeps nothing alive that might be missed. None of the user's code is run.
"""

from __future__ import annotations

from typing import Any

SMALL = 2000
"""Characters and numbers of an item that is remembered whole."""
LINE = 200
"""Those of one of which a line shows as much as it has room for,"""
PARTS = 9
"""and parts of a list: one more than are shown."""
_TEXTS = (str, bytes)
_SINGLE = (int, float, bool, type(None))


class Unshown:
    """Stands for something of which only the kind is remembered."""

    __slots__ = ("_text",)

    def __init__(self, kind: type) -> None:
        self._text = f"<{kind.__module__}.{kind.__qualname__}>"

    def __repr__(self) -> str:
        return self._text


def small(item: Any) -> Any:
    """Return an item; None for one that may be large, or may be missed when it is not let go of."""
    return item if _size(item) <= SMALL else None


def glimpse(item: Any) -> Any:
    """Return as much of an item as a line shows, which is small and keeps nothing else alive."""
    if type(item) is tuple:  # the arguments of one call
        return tuple(map(_glimpse, item[:PARTS]))
    return _glimpse(item)


def _glimpse(item: Any) -> Any:
    kind = type(item)
    if kind in _TEXTS:
        return item[:LINE]
    if kind in (list, tuple) and len(item) > PARTS:
        item = item[:PARTS]
    return item if _size(item) <= LINE else Unshown(kind)


def _size(item: Any, depth: int = 3) -> int:
    kind = type(item)
    if kind in _TEXTS:
        return len(item)
    if kind in _SINGLE:
        return 1
    if kind.__module__.partition(".")[0] == "pathlib":
        return len(str(item))
    if kind not in (tuple, list, dict) or not depth or len(item) > SMALL:
        return SMALL + 1
    parts = item.values() if kind is dict else item
    return sum(_size(part, depth - 1) for part in parts)
