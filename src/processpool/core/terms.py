"""The terms on which the items of a job are run: how urgent they are, and how often they are tried.

A job without terms of its own has those of its pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

REASONS = frozenset({"crash", "timeout", "error"})
"""The kinds of failures after which an item may be tried again."""


class Retries(NamedTuple):
    """How often an item is tried, and after which failures it is tried again."""

    attempts: int
    """How often it is tried, the first attempt included."""
    on: frozenset[str]
    """The failures that are retried: crash, timeout, error."""

    def allow(self, reason: str, attempts: int) -> bool:
        """True if an item that has been tried `attempts` times is tried again after `reason`."""
        return attempts < self.attempts and reason in self.on


NEVER = Retries(1, frozenset())
"""Those of an item of which parts were read: it must not begin again."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a caller may ask for his items, apart from others'."""

    priority: int = 0
    """Items with a higher one are assigned first."""
    retries: Retries | None = None
    """When they are tried again; None as the pool has it."""
    name: str = ""
    """What they are called; empty for the name of their function."""
    within: bytes = b""
    """The span that they are below, as `TRACEPARENT` names it; empty if they are in no trace."""


USUAL = Terms()
"""The terms of a job for which nobody has asked for any."""


class TracedMessage(tuple[bytes, ...]):
    """A message to a program which is below a span: that of a call, which has no job with terms."""

    within: bytes
    """The span, as in `Terms`."""
