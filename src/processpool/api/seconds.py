"""Times as users give them."""

from __future__ import annotations

from typing import Any

FOREVER = 1e9
"""Seconds: more of them are taken for as many."""


def bounded(seconds: Any, what: str) -> float | None:
    """So many seconds, or as many as a clock can count; None for as long as it takes.

    Raises:
        ValueError: it is neither a number of seconds nor a duration as the YAML has it.
    """
    if isinstance(seconds, str):
        from processpool.config.units import parse_duration

        try:
            return min(parse_duration(seconds), FOREVER)
        except ValueError as error:
            raise ValueError(f"{what} {error}, or None; got {seconds!r}") from None
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is None or (number and seconds >= 0):
        return None if seconds is None else min(seconds, FOREVER)
    raise ValueError(
        f"{what} must be a number of seconds, a duration such as '30s', or None, got {seconds!r}"
    )
