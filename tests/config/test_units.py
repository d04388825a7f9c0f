"""Durations, sizes, and what plain scalars mean."""

from __future__ import annotations

import pytest

from processpool.config.scalars import not_text, resolve
from processpool.config.units import parse_duration, parse_size


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1d", 86_400.0),
        ("1.5 h", 5400.0),
        ("0s", 0.0),
        (30, 30.0),
        (0.1, 0.1),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    assert parse_duration(value) == seconds
    assert isinstance(parse_duration(value), float)


@pytest.mark.parametrize(
    "value",
    ["", "s", "5", "5 sec", "-5s", "5S", "1h30m", "٣s", "5s\n", "1e3s", "9" * 50 + "s", True, None,
     -1, float("nan"), float("inf"), 1e300, 10**400, b"5s", []],
)  # fmt: skip
def test_no_durations(value: object) -> None:
    with pytest.raises(ValueError, match=r"^must be a duration"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("512MiB", 512 << 20),
        ("2GB", 2 * 10**9),
        ("64KiB", 65_536),
        ("100B", 100),
        ("1.5GiB", 3 << 29),
        ("1 TB", 10**12),
        ("3kB", 3000),
        ("3KB", 3000),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_sizes(value: object, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize(
    "value",
    ["", "5", "5 gigs", "5mb", "-5B", "5B\n", "9" * 30 + "TB", 2**63, True, None, 1.5, -1, []],
)
def test_no_sizes(value: object) -> None:
    with pytest.raises(ValueError, match=r"^must be a size"):
        parse_size(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("yes", True), ("OFF", False), ("y", "y"), ("4", 4), ("+4", 4),
        ("-4", -4), ("0", 0), ("1_000", 1000), ("0x1F", 31), ("0b11", 3), ("010", "010"),
        ("08", "08"), ("1:30", "1:30"), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0),
        ("-.inf", float("-inf")), ("1__0", "1__0"), ("1_.5", "1_.5"), ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"), ("nulL", "nulL"), ("0x_", "0x_"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_plain_scalars(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("word", None), ("C.UTF-8", None), ("1.2.3", None), ("10.0.0.1", None), ("y", None),
        ("a:b", None), ("no", "a boolean"), ("", "null"), ("08", "a number"), ("0o17", "a number"),
        ("1:30", "a number"), ("12:30:45", "a number"), ("2024-01-01", "a date"),
        ("2024-01-01 10:00:00", "a date"), (".inf", "a number"), ("1e3", "a number"),
    ],
)  # fmt: skip
def test_what_must_be_quoted(text: str, kind: str | None) -> None:
    assert not_text(text) == kind
