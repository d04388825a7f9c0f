"""The answers of one map, and all that is known of them, until somebody looks at a record."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Literal

from processpool.api.eager_state import UNENDED
from processpool.core.jobs import Attempt
from processpool.core.outcome import Outcome
from processpool.core.replies import Reply, has_failed, load_all
from processpool.system.clock import wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from processpool.core.rows import Rows
    from processpool.core.run_record import RunRecord

    Retry = Callable[[list[tuple[Any, ...]]], Sequence[Outcome]]
    """Runs items once more, given the arguments of each."""

State = Literal["ok", "failed", "cancelled"]


class Answered:
    """The answers of one map, and all that is known of them."""

    __slots__ = (
        "_offset", "answers", "args_of", "is_run_again", "items", "name", "rest", "retry", "rows",
        "run", "runs", "secrets",
    )  # fmt: skip

    def __init__(self, answers: list[Any] | dict[int, Any], name: str = "") -> None:
        self.answers = answers
        """By index: a value, an `Attempt`, an `Outcome`, or `UNENDED`."""
        self.name = name
        self._offset = wall_clock(0.0)
        """Between the two clocks, once and for all: the same record is always equal to itself."""
        self.rows: Rows | None = None
        self.items: Sequence[Any] = ()
        """What was asked, if that is known."""
        self.rest: Iterator[Any] | None = None
        """What was not even read, as it is behind what ended the map: the items that follow."""
        self.args_of: Callable[[Any], tuple[Any, ...]] = lambda item: (item,)
        self.run: RunRecord | None = None
        """How the map has run."""
        self.is_run_again = False
        """Some of it was run again, and is not in that record."""
        self.secrets: tuple[str, ...] = ()
        """Texts that must not show."""
        self.runs: list[Any] = []
        """Runs of answers that nobody has unpickled yet."""
        self.retry: Retry | None = None

    def settle(self) -> None:
        """Unpickle what is left, and put it into its place."""
        while self.runs:
            run = self.runs.pop()
            values, _, _ = settled(run)
            for index, value in enumerate(values, run.start):
                self.answers[index] = value

    def record(self, index: int) -> Outcome:
        """Return the record of an item."""
        answer = self.answers[index]
        if type(answer) is Attempt:
            return answer.record
        if type(answer) is Outcome:
            return answer
        args = self._args(index)
        if answer is UNENDED:
            error = CancelledError("the map had ended before it")
            return Outcome(
                index, error=error, attempts=0, args=args, name=self.name, cancelled=True
            )
        facts = {} if self.rows is None else self.rows.facts(index)
        if facts and self.rows is not None:
            row = self.rows.row(index)
            facts["started"] = None if row is None else self._offset + row.since
        stdout = answer if type(answer) is str else ""
        return Outcome(index, answer, stdout=stdout, args=args, name=self.name, **facts)

    def args(self, index: int) -> tuple[Any, ...]:
        """Return what an item was called with; nothing if that is not known."""
        answer = self.answers[index] if index in self.indexes else None
        record = answer if type(answer) is Outcome else getattr(answer, "record", None)
        return record.args if isinstance(record, Outcome) and record.args else self._args(index)

    @property
    def indexes(self) -> Collection[int]:
        """The items that it knows of."""
        return self.answers if isinstance(self.answers, dict) else range(len(self.answers))

    def _args(self, index: int) -> tuple[Any, ...]:
        if self.rest is not None and index >= len(self.items):
            self.items = [*self.items, *self.rest]
            self.rest = None
        return self.args_of(self.items[index]) if index < len(self.items) else ()

    def state(self, index: int) -> State:
        """Return what has become of an item."""
        answer = self.answers[index]
        if answer is UNENDED:
            return "cancelled"
        if isinstance(answer, Attempt | Outcome):
            record = answer.record if isinstance(answer, Attempt) else answer
            if record.cancelled:
                return "cancelled"
            return "ok" if record.error is None else "failed"
        return "ok"


def settled(run: Any) -> tuple[list[Any], int, Attempt | None]:
    """Unpickle the answers of a run, which may run the user's code.

    Returns:
        What is put into the places of its items: a value, or an `Attempt` of what is more than
        that; how many have failed only now, since they cannot be unpickled; and the first failure.
    """
    values = load_all(run.answers)
    spoilt = 0
    first = None
    for offset, value in enumerate(values):
        if type(value) is not Reply:
            continue
        if value.error is not None and run.is_late:
            values[offset] = UNENDED
            continue
        attempt = values[offset] = run.attempt(offset, value)
        if value.error is not None:
            spoilt += not has_failed(run.answers[offset])
            first = first or attempt
    return values, spoilt, first
