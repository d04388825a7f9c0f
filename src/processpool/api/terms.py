"""What callers may ask for their items: a priority, other attempts, a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from processpool.core.terms import REASONS, USUAL, Retries, Terms

if TYPE_CHECKING:
    from types import EllipsisType
    from typing import Any

    from processpool.config.models import RetryConfig

    Retry = int | Mapping[str, Any]
    """Attempts; or `attempts` and `on`, as in the YAML file."""


def terms_of(
    terms: Terms,
    usual: RetryConfig,
    *,
    priority: int | EllipsisType = ...,
    retry: Retry | EllipsisType | None = ...,
    name: str | EllipsisType | None = ...,
) -> Terms:
    """Return the terms with those changed that were given; None means as the pool has it.

    Raises:
        TypeError, ValueError: a value is none that it can be.
    """
    if priority is not ...:
        terms = replace(terms, priority=checked_priority(priority))
    if retry is not ...:
        terms = replace(terms, retries=None if retry is None else _retries(retry, usual))
    if name is not ...:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name is what the items are called, a str, got {name!r}")
        terms = replace(terms, name=name or "")
    return USUAL if terms == USUAL else terms


def checked_priority(priority: object) -> int:
    """Return a priority.

    Raises:
        TypeError: it is no whole number.
    """
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise TypeError(
            f"priority is a whole number: 0 where none is given, and higher ones go first; "
            f"got {priority!r}"
        )
    return priority


def _retries(retry: object, usual: RetryConfig) -> Retries:
    attempts: object = retry
    on: object = usual.on
    if isinstance(retry, Mapping):
        unknown = set(retry) - {"attempts", "on"}
        if unknown:
            raise ValueError(f"retry has the keys attempts and on, got {sorted(map(str, unknown))}")
        attempts, on = retry.get("attempts", usual.attempts), retry.get("on", usual.on)
    if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1:
        raise ValueError(
            "retry is how often an item is tried, the first attempt included, so at least 1; or "
            f'{{"attempts": 3, "on": ["crash", "timeout", "error"]}}; got {retry!r}'
        )
    reasons = (on,) if isinstance(on, str) else on
    if not isinstance(reasons, list | tuple | set | frozenset) or set(reasons) - REASONS:
        raise ValueError(f"retry's on may have {', '.join(sorted(REASONS))}, got {on!r}")
    return Retries(attempts, frozenset(reasons))
