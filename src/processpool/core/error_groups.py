"""Errors of many items, grouped: those of one class whose messages differ in numbers alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?")
OTHERS = "other errors"
"""The name of the group of all that are not told apart."""
_LONGEST = 300
"""Characters of a message that are looked at."""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors that are alike."""

    error: str
    """The class, and the message with `N` for each number."""
    count: int
    index: int
    """The first item that has failed like this."""
    message: str
    """The class and message of its error."""
    example: Any = None
    """Its record, where there is one."""


class ErrorGroups:
    """Counts errors, by what they say."""

    def __init__(self, most: int | None = None) -> None:
        """Tell apart at most so many kinds; further ones are in a group of their own."""
        self._groups: dict[str, ErrorGroup] = {}
        self._most = most

    def add(self, index: int, text: str, example: Any = None) -> None:
        """An item has failed with an error of this class and message."""
        folded = fold(text)
        known = self._groups.get(folded)
        if known is None and self._most is not None and len(self._groups) >= self._most:
            folded = OTHERS
            known = self._groups.get(folded)
        if known is None:
            self._groups[folded] = ErrorGroup(folded, 1, index, text, example)
        else:
            self._groups[folded] = replace(known, count=known.count + 1)

    def largest_first(self) -> list[ErrorGroup]:
        """Return the groups, the most frequent first."""
        return sorted(self._groups.values(), key=lambda group: (-group.count, group.index))


def fold(text: str) -> str:
    """Return a message with `N` for each number in it."""
    return _NUMBER.sub("N", text[:_LONGEST])
