"""Numbers as a report says them."""

from __future__ import annotations

import pytest

from processpool.report.words import percent


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (0, "0 %"),
        (1e-6, "under 0.1 %"),
        (0.001, "0.1 %"),
        (0.034, "3.4 %"),
        (0.0996, "10 %"),
        (0.97, "97 %"),
        (0.999, "99.9 %"),
        (1 - 1e-6, "over 99.9 %"),
        (1, "100 %"),
    ],
)
def test_a_part_is_neither_none_nor_all_unless_it_is(part: float, said: str) -> None:
    assert percent(part) == said
