"""Sizes as people read them."""

from __future__ import annotations

import pytest

from processpool.system.units import format_measured


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0B"),
        (999, "999B"),
        (1536, "1.5KiB"),
        (1023 * 1024, "1023KiB"),
        (503_918_015, "481MiB"),
        (3 << 30, "3GiB"),
        (5 << 40, "5120GiB"),
    ],
)
def test_a_measured_size_has_three_digits(size: int, said: str) -> None:
    assert format_measured(size) == said
