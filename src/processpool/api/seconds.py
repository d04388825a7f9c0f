"""Conversion of durations that users pass as arguments."""

from __future__ import annotations

from typing import Any

MAX_SECONDS = 1e9
"""The longest duration in seconds; longer ones are cut to it, since the system's calls overflow."""


def bounded(seconds: Any, what: str) -> float | None:
    """Return a duration in seconds, at most `MAX_SECONDS`; None, for no limit, stays None.

    Args:
        seconds: a number of seconds, a duration such as "30s", or None.
        what: the argument's name, for the error.

    Raises:
        ValueError: `seconds` is none of these.
    """
    if isinstance(seconds, str):
        from processpool.config.units import parse_duration

        try:
            return min(parse_duration(seconds), MAX_SECONDS)
        except ValueError as error:
            raise ValueError(f"{what} {error}, or None; got {seconds!r}") from None
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is None or (number and seconds >= 0):
        return None if seconds is None else min(seconds, MAX_SECONDS)
    raise ValueError(
        f"{what} must be a number of seconds, a duration such as '30s', or None, got {seconds!r}"
    )
