"""What is remembered of an item: enough to tell which it was, and never much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from processpool.core.glimpses import LINE, SMALL, glimpse, small


class Heavy:
    """Something that somebody may miss, and that objects to being looked at."""

    def __repr__(self) -> str:
        raise AssertionError("the user's code was run")

    __str__ = __len__ = __hash__ = __eq__ = __repr__  # type: ignore[assignment]


WHOLE: list[Any] = [
    7,
    2.5,
    None,
    True,
    "row 7",
    b"row",
    Path("/data/7.csv"),
    (1, "a"),
    {"a": [1, 2]},
]


@pytest.mark.parametrize("item", WHOLE, ids=repr)
def test_what_is_short_is_remembered_whole(item: Any) -> None:
    assert glimpse(item) == item


def test_of_what_is_long_the_begin_is() -> None:
    assert glimpse("x" * 10_000) == "x" * LINE
    assert glimpse(list(range(10_000)))[:3] == [0, 1, 2]
    assert len(glimpse(list(range(10_000)))) < 20
    assert glimpse(("x" * 10_000, 3)) == ("x" * LINE, 3)


def test_of_what_is_anything_else_the_kind_is() -> None:
    assert repr(glimpse(Heavy())) == f"<{__name__}.Heavy>"
    assert repr(glimpse((Heavy(), 3))) == f"(<{__name__}.Heavy>, 3)"
    assert repr(glimpse({"rows": ["x" * 300] * 3})) == "<builtins.dict>"


def test_what_is_large_is_not_kept() -> None:
    assert small("x" * SMALL) == "x" * SMALL
    assert small("x" * (SMALL + 1)) is None
    assert small((1, Heavy())) is None
