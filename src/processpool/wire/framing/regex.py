r"""Regular expressions of a declaration: compiled once, for bytes, and analysed where needed.

Two rules hold here. A pattern is only searched for in complete lines, headers and answers, never in
unfinished ones, so nothing depends on how the bytes were cut. And questions about a pattern, such
as which bytes it can end with, are answered by Python's own parser, not guessed from its text.
"""

from __future__ import annotations

import re

# CPython's parser of patterns; `sre_parse` is its deprecated name. Its trees have been the same
# since Python 2, but for new operations, which count as unknown here.
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

NEWLINE = ord("\n")
"""The byte that `.` does not match."""
_MOST_ENDS = 4

_TRANSPARENT = (ops.AT, ops.ASSERT, ops.ASSERT_NOT)
_SIMPLE_PLACES = (ops.AT_BEGINNING, ops.AT_END, ops.AT_BOUNDARY)
_REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT)


def pattern(text: str) -> re.Pattern[bytes]:
    """Return `text` compiled, `^` and `$` being the beginning and end of each line.

    Raises:
        ValueError: it is no regular expression.
    """
    try:
        return re.compile(text.encode(), re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression: {error}") from None


def whole_line(text: str) -> tuple[re.Pattern[bytes], bool] | None:
    """Return a pattern that finds the first of many lines in which `text` is found.

    Returns:
        The pattern, which matches to the newline, and whether it matches from the beginning of the
        line; None where `text` may reach over a newline, or cannot be told not to.
    """
    tree = parser.parse(text.encode(), re.MULTILINE)
    if tree.state.flags & ~re.MULTILINE or not all(map(_is_within_a_line, tree)):
        return None
    try:
        found = re.compile(b"(?:" + text.encode() + rb")[^\n]*\n", re.MULTILINE)
    except re.error:  # it begins with flags, which may stand nowhere else
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
    r"""Return the bytes that a header, of which `text` is the regex, can end with.

    Only at these is it looked for, once each: so it is found in the same place however the bytes
    come, and in time that is proportional to them.

    Raises:
        ValueError: it is no regular expression, or may end with nearly anything, as `(\d+)` does:
            then no one could tell whether the next digit is still to come.
    """
    pattern(text)
    ends = _ends(parser.parse(text.encode(), re.MULTILINE))
    if not ends or len(ends) > _MOST_ENDS:
        raise ValueError(r"must end with what ends a header, such as \n or ; in '(\d+);'")
    return ends


def _ends(tree: Any) -> frozenset[int]:
    """Return the bytes that a match can end with; the empty set if that cannot be told."""
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
