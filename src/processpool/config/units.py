"""Parsers for durations (`250ms`, `5m`) and sizes (`512MiB`).

Two rules hold here. A bare number is in the base unit, seconds or bytes; a string must name its
unit. And errors are `ValueError`s that say what is expected, but never repeat the value: it may be
a secret, so the code that reports the error decides what to show.
"""

from __future__ import annotations

import re

DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)? ?(ms|s|m|h|d)$"
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)? ?(B|[kK]B|[MGT]B|[KMGT]iB)$"
PERCENTAGE_PATTERN = r"^[0-9]+(\.[0-9]+)? ?%$"

MAX_DURATION = 36_500 * 86_400.0
"""The longest duration, in seconds: a hundred years, which fits any timer of the system."""
MAX_SIZE = 2**63 - 1
"""The largest size, in bytes: the largest value of a resource limit."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_BYTES = {"B": 1, "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}
_BYTES |= {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}

_DURATION = "must be a duration such as 250ms, 30s, 5m, 1h, or a number of seconds"
_SIZE = "must be a size such as 64KiB, 512MiB, 2GB, or a number of bytes"
_MAX_TEXT_LENGTH = 40


def parse_duration(value: object) -> float:
    """Return the duration `value` in seconds.

    Raises:
        ValueError: It is not a number from 0 to `MAX_DURATION`, or a string with a unit.
    """
    if isinstance(value, str):
        number, unit = _split(value, DURATION_PATTERN, _DURATION)
        value = float(number) * _SECONDS[unit]
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # nan
        raise ValueError(_DURATION)
    if not 0 <= value <= MAX_DURATION:
        raise ValueError("must be a duration from 0s to 36500d")
    return float(value)


def parse_size(value: object) -> int:
    """Return the size `value` in bytes.

    Raises:
        ValueError: It is not a whole number from 0 to `MAX_SIZE`, or a string with a unit.
    """
    if isinstance(value, str):
        number, unit = _split(value, SIZE_PATTERN, _SIZE)
        value = round(float(number) * _BYTES[unit]) if "." in number else int(number) * _BYTES[unit]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(_SIZE)
    if not 0 <= value <= MAX_SIZE:
        raise ValueError(f"must be a size from 0 to {MAX_SIZE} bytes")
    return value


def parse_budget(value: object) -> int | float:
    """Return a budget of memory: bytes, or a share such as `80%` as a float from 0 to 1.

    Raises:
        ValueError: It is neither a size nor a percentage up to 100%.
    """
    if isinstance(value, str) and re.fullmatch(PERCENTAGE_PATTERN, value[:_MAX_TEXT_LENGTH]):
        share = float(value[:-1]) / 100
        if not 0 < share <= 1:
            raise ValueError("must be more than 0%, and at most 100%")
        return share
    try:
        return parse_size(value)
    except ValueError:
        raise ValueError("must be a share such as 80%, or a size such as 512MiB, 2GB") from None


def _split(text: str, pattern: str, expected: str) -> tuple[str, str]:
    found = re.fullmatch(pattern, text) if len(text) < _MAX_TEXT_LENGTH else None
    if found is None:
        raise ValueError(expected)
    unit = found.groups()[-1]
    return text[: -len(unit)].strip(), unit
