"""What a report tells, gathered from the record of a map and from its outcomes."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from processpool.api.item_notes import show
from processpool.core.error_groups import OTHERS
from processpool.report.verdict import judge
from processpool.system.text import escape_control

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from processpool.core.error_groups import ErrorGroup
    from processpool.core.outcome import Outcome
    from processpool.core.run_record import RunRecord

MOST_GROUPS = 25
"""Kinds of errors that are shown."""
MOST_LINES = 60
"""Lines of a traceback, and of stderr, that are shown."""
MOST_CHARACTERS = 4000
"""Characters of these that are shown, and"""
MOST_OF_A_MESSAGE = 400
"""of a message."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Items that failed alike, and one of them as an example."""

    count: int
    message: str
    kind: str
    """The message with `N` for each number, if there are several."""
    item: str
    """Which item the example is."""
    argument: str
    """What it was called with; empty if that is not known."""
    traceback: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Slow:
    """One of the slowest items."""

    item: str
    argument: str
    seconds: float
    slot: int


@dataclass(frozen=True)
class Naming:
    """What the items are called: `item 0`, or `line 1`."""

    noun: str = "item"
    first: int = 0

    def of(self, index: int) -> str:
        """Return the name of one."""
        return f"{self.noun} {index + self.first}"


@dataclass
class Told:
    """All that a report tells."""

    record: RunRecord
    naming: Naming = field(default_factory=Naming)
    args_of: Callable[[int], tuple[Any, ...]] = lambda index: ()
    """The arguments of an item, by its index, if they are known."""
    secrets: Sequence[str] = ()
    """Texts that must not show."""
    groups: Sequence[ErrorGroup] | None = None
    """The errors, if they are others than the record's."""
    counts: tuple[int, int, int] | None = None
    """How many items are ok, have failed and were cancelled, if not as many as in the record."""

    def __post_init__(self) -> None:
        self.totals = self.record.totals()
        self.verdict = judge(self.record, self.totals)
        if self.groups is None:
            self.groups = self.record.errors.largest_first()

    @property
    def parts(self) -> tuple[int, int, int]:
        """How many items are ok, have failed, and were cancelled."""
        record = self.record
        if self.counts is not None:
            return self.counts
        return record.done - record.failed, record.failed, record.cancelled

    @property
    def failures(self) -> list[Failures]:
        """The most frequent kinds of errors."""
        assert self.groups is not None
        return [self._failures(group) for group in self.groups[:MOST_GROUPS]]

    @property
    def slowest(self) -> list[Slow]:
        """The slowest items."""
        return [
            Slow(
                self.naming.of(one.first) + (f" and {one.items - 1} more" if one.items > 1 else ""),
                self._argument(self.args_of(one.first) or _args(one.asked)),
                one.seconds,
                one.slot,
            )
            for one in self.record.slowest()
        ]

    def _failures(self, group: ErrorGroup) -> Failures:
        record: Outcome | None = getattr(group.example, "record", group.example)
        message = group.message if group.error != OTHERS else f"{OTHERS}, such as {group.message}"
        args = self.args_of(group.index) or (() if record is None else record.args)
        return Failures(
            group.count,
            self._masked(message[:MOST_OF_A_MESSAGE]),
            self._masked(group.error if group.count > 1 else message)[:MOST_OF_A_MESSAGE],
            self.naming.of(group.index),
            self._argument(args),
            "" if record is None else self._traceback(record.error),
            "" if record is None else self._ending(record.stderr),
        )

    def _traceback(self, error: BaseException | None) -> str:
        """The worker's own traceback, if there is one; else what can be said of the error."""
        cause = None if error is None else error.__cause__
        text = getattr(cause, "tb", None) or getattr(error, "traceback", None)
        if not isinstance(text, str) or not text.strip():
            text = "" if error is None else "".join(traceback.format_exception_only(error))
        return self._ending(text)

    def _ending(self, text: str) -> str:
        lines = text.rstrip().splitlines()
        left_out = [f"… {len(lines) - MOST_LINES} lines before"] if len(lines) > MOST_LINES else []
        return self._masked("\n".join([*left_out, *lines[-MOST_LINES:]])[-MOST_CHARACTERS:])

    def _argument(self, args: tuple[Any, ...]) -> str:
        return self._masked(", ".join(show(arg) for arg in args))

    def shown(self, text: str) -> str:
        """Return a text as it may be shown."""
        return self._masked(text[:MOST_OF_A_MESSAGE])

    def _masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return escape_control(text)


def _args(asked: Any) -> tuple[Any, ...]:
    if asked is None:
        return ()
    return asked if type(asked) is tuple else (asked,)
