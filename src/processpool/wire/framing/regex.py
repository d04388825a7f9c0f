r"""Regular expressions of a declaration: compilation for bytes, and analysis.

Two rules hold here. A pattern is only searched for in complete lines, headers and answers, never in
unfinished ones, so the result does not depend on how the bytes are split into reads. And properties
of a pattern, such as the bytes it can end with, are derived from Python's own parse tree of it.
"""

from __future__ import annotations

import re

# CPython's private parser of patterns, formerly `sre_parse`. Its trees have not changed since
# Python 2, except for new operations, which are treated as unknown here.
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

NEWLINE = ord("\n")
"""The byte that `.` does not match."""
_MAX_ENDS = 4

_TRANSPARENT = (ops.AT, ops.ASSERT, ops.ASSERT_NOT)
_SIMPLE_PLACES = (ops.AT_BEGINNING, ops.AT_END, ops.AT_BOUNDARY)
_REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT)


def pattern(text: str) -> re.Pattern[bytes]:
    """Return `text` compiled for bytes; `^` and `$` match at the beginning and end of each line.

    Raises:
        ValueError: it is not a regular expression.
    """
    try:
        return re.compile(text.encode(), re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression: {error}") from None


def whole_line(text: str) -> tuple[re.Pattern[bytes], bool] | None:
    """Return a pattern that finds the first line that matches `text`, in a text of many lines.

    Returns:
        The pattern, whose matches end with the line's newline, and whether they start at the line's
        beginning; None if `text` could match across a newline.
    """
    tree = parser.parse(text.encode(), re.MULTILINE)
    if tree.state.flags & ~re.MULTILINE or not all(map(_is_within_a_line, tree)):
        return None
    try:
        found = re.compile(b"(?:" + text.encode() + rb")[^\n]*\n", re.MULTILINE)
    except re.error:  # `text` begins with inline flags, which are not allowed inside a group
        return None
    return found, tree[0] == (ops.AT, ops.AT_BEGINNING)


def _is_within_a_line(item: tuple[Any, Any]) -> bool:
    what, value = item
    if what is ops.LITERAL:
        return bool(value != NEWLINE)
    if what is ops.ANY:
        return True
    if what is ops.AT:
        return value in _SIMPLE_PLACES
    if what is ops.IN:
        return all(map(_leaves_newline_out, value))
    if what in _REPEATS:
        return all(map(_is_within_a_line, value[2]))
    if what is ops.SUBPATTERN:
        return value[1:3] == (0, 0) and all(map(_is_within_a_line, value[3]))
    if what is ops.BRANCH:
        return all(all(map(_is_within_a_line, branch)) for branch in value[1])
    return False


def _leaves_newline_out(item: tuple[Any, Any]) -> bool:
    what, value = item
    if what is ops.LITERAL:
        return bool(value != NEWLINE)
    if what is ops.RANGE:
        return not value[0] <= NEWLINE <= value[1]
    return what is ops.CATEGORY and value in (ops.CATEGORY_DIGIT, ops.CATEGORY_WORD)


def header_ends(text: str) -> frozenset[int]:
    r"""Return the bytes that a match of the header regex `text` can end with.

    The pattern is tried once at each of these bytes, so the result does not depend on how the data
    is split into reads, and the time is proportional to it.

    Raises:
        ValueError: it is not a regular expression, or its matches can end with many different
            bytes, such as those of `(\d+)`: then it is unknown whether another digit follows.
    """
    pattern(text)
    ends = _ends(parser.parse(text.encode(), re.MULTILINE))
    if not ends or len(ends) > _MAX_ENDS:
        raise ValueError(r"must end with what ends a header, such as \n or ; in '(\d+);'")
    return ends


def _ends(tree: Any) -> frozenset[int]:
    """Return the bytes that a match can end with; the empty set if that is unknown."""
    for what, value in reversed(list(tree)):
        if what not in _TRANSPARENT:
            return _ends_of(what, value)
    return frozenset()


def _ends_of(what: Any, value: Any) -> frozenset[int]:
    if what is ops.LITERAL:
        return frozenset((value,))
    if what is ops.IN and all(kind is ops.LITERAL for kind, _ in value):
        return frozenset(byte for _, byte in value)
    if what is ops.SUBPATTERN:
        return _ends(value[3])
    if what in _REPEATS and value[0] > 0:
        return _ends(value[2])
    if what is ops.BRANCH:
        branches = [_ends(branch) for branch in value[1]]
        return frozenset.union(*branches) if all(branches) else frozenset()
    return frozenset()
