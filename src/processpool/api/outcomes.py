"""What has become of the items of a map: `Outcomes`, a sequence whose records are made on demand.

A record for each of a million items would take more room than the items. So what there is to say of
most of them stands in columns (`core.rows`), and a record is made when somebody looks at it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload
from weakref import ref

from processpool.api.answered import Answered
from processpool.api.eager_state import UNENDED
from processpool.api.map_state import Run
from processpool.api.notebook_errors import beautify
from processpool.core.error_groups import ErrorGroup, ErrorGroups
from processpool.core.jobs import Attempt
from processpool.core.outcome import Outcome
from processpool.errors import PoolClosed
from processpool.wire.python.remote_errors import format_error

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from processpool.api.answered import Retry, State
    from processpool.api.map_state import Chunk
    from processpool.api.view import Report
    from processpool.core.run_record import RunRecord
    from processpool.core.terms import Terms

FAILURES = 1000
"""The last failures of a lazy map, which the error that ends it still has."""
_SHOWN = 10
"""Records, and kinds of error, that are listed in a notebook."""


class Outcomes(Sequence[Outcome]):
    """The records of a map's items, in their order: like a list, made when looked at."""

    def __init__(self, answered: Answered, indexes: Sequence[int] | None = None) -> None:
        """Of all items, or of those with these indexes."""
        self._answered = answered
        self._indexes = range(len(answered.answers)) if indexes is None else indexes

    # -- a sequence ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._indexes)

    @overload
    def __getitem__(self, at: int) -> Outcome: ...
    @overload
    def __getitem__(self, at: slice) -> Outcomes: ...
    def __getitem__(self, at: int | slice) -> Outcome | Outcomes:
        self._answered.settle()
        if isinstance(at, slice):
            return Outcomes(self._answered, self._indexes[at])
        return self._answered.record(self._indexes[at])

    def __iter__(self) -> Iterator[Outcome]:
        self._answered.settle()
        return map(self._answered.record, self._indexes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outcomes | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    # -- what there is ---------------------------------------------------------------------------

    @property
    def ok(self) -> Outcomes:
        """Those that have a value."""
        return self._in("ok")

    @property
    def failed(self) -> Outcomes:
        """Those that have failed."""
        return self._in("failed")

    @property
    def cancelled(self) -> Outcomes:
        """Those that never ran, or not to their end, since the map had ended before."""
        return self._in("cancelled")

    def counts(self) -> tuple[int, int, int]:
        """Return how many are ok, have failed, and were cancelled: together, all."""
        self._answered.settle()
        found = Counter(map(self._answered.state, self._indexes))
        return found["ok"], found["failed"], found["cancelled"]

    def values(self) -> list[Any]:
        """Return the values of those that have one, in order."""
        self._answered.settle()
        state, answers = self._answered.state, self._answered.answers
        found = []
        for index in self._indexes:
            answer = answers[index]
            if type(answer) is Attempt or type(answer) is Outcome:
                if state(index) == "ok":
                    found.append(self._answered.record(index).value)
            elif answer is not UNENDED:
                found.append(answer)
        return found

    def errors(self) -> list[ErrorGroup]:
        """Return the errors in groups, the most frequent first.

        Those of one class are in one group if their messages differ in numbers alone.
        """
        groups = ErrorGroups()
        for record in self.failed:
            assert record.error is not None
            groups.add(record.index, format_error(record.error), record)
        return groups.largest_first()

    def to_pandas(self) -> Any:
        """Return a table with a row for each item, by its index.

        Raises:
            ImportError: pandas is not installed.
        """
        from pandas import DataFrame, Index  # type: ignore[import-untyped]

        names = (
            "ok", "value", "error", "args", "seconds", "queued", "started", "slot", "worker_id",
            "pid", "attempts", "peak_memory", "cancelled", "stderr", "skipped",
        )  # fmt: skip
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for record in self:
            for name in names:
                columns[name].append(getattr(record, name))
        return DataFrame(columns, index=Index(list(self._indexes), name="index"))

    def report(self, path: str | os.PathLike[str] | None = None) -> Report:
        """Return the report of the map: what went wrong, where the time went, and what to do.

        A notebook shows it; the page that is written to `path` needs neither script nor network.

        Raises:
            OSError: the file cannot be written.
            ValueError: nothing is known of how the map has run.
        """
        from processpool.api.reports import report_of

        whole = Outcomes(self._answered)
        again = self._answered.is_run_again
        facts = {"groups": whole.errors(), "counts": whole.counts()} if again else {}
        report = report_of(self._answered, **facts)
        if path is not None:
            report.save(path)
        return report

    def retry(self, on: Sequence[State] = ("failed", "cancelled")) -> Outcomes:
        """Run some of the items again, in the same pool, and return all outcomes as they are then.

        Args:
            on: what has become of the items that are to be run again.

        Raises:
            PoolClosed: the pool is not open any more.
            ValueError: there is no other state than `ok`, `failed` and `cancelled`; or the map did
                not keep its items: it does with `details=True`.
        """
        chosen = set(on) if not isinstance(on, str) else {on}
        if chosen - {"ok", "failed", "cancelled"}:
            raise ValueError(f"on may have 'ok', 'failed' and 'cancelled', got {on!r}")
        self._answered.settle()
        again = [index for index in self._indexes if self._answered.state(index) in chosen]
        merged = Answered(self._answered.answers.copy(), self._answered.name)
        for name in ("rows", "items", "rest", "args_of", "retry", "run", "secrets"):
            setattr(merged, name, getattr(self._answered, name))
        merged.is_run_again = self._answered.is_run_again or bool(again)
        if again:
            self._run_again(merged, again)
        return Outcomes(merged, self._indexes)

    def _run_again(self, merged: Answered, again: list[int]) -> None:
        from dataclasses import replace

        if merged.retry is None:
            raise ValueError("these items cannot be run again from here")
        rows = [merged.record(index).args for index in again]
        if () in rows:
            raise ValueError(
                "what the items were is not known any more: a map keeps them with details=True"
            )
        for index, record in zip(again, merged.retry(rows), strict=True):
            merged.answers[index] = replace(record, index=index)

    def _in(self, state: State) -> Outcomes:
        self._answered.settle()
        found = [index for index in self._indexes if self._answered.state(index) == state]
        return Outcomes(self._answered, found)

    # -- showing it ------------------------------------------------------------------------------

    def __repr__(self) -> str:
        counts = self._counts
        return f"<Outcomes of {self._answered.name or 'a map'}: {counts}>"

    @property
    def _counts(self) -> str:
        ok, failed, cancelled = self.counts()
        text = f"{len(self):,} items, {ok:,} ok, {failed:,} failed"
        return f"{text}, {cancelled:,} cancelled" if cancelled else text

    def _repr_html_(self) -> str:
        from html import escape

        rows = [
            f"<tr><td style='text-align:right'>{group.count:,}</td>"
            f"<td style='text-align:left'>{escape(group.error)}</td>"
            f"<td style='text-align:right'>{group.index}</td></tr>"
            for group in self.errors()[:_SHOWN]
        ]
        head = f"<b>{escape(self._answered.name or 'map')}</b>: {escape(self._counts)}"
        if not rows:
            return f"<div>{head}</div>"
        table = "<tr><th>items</th><th>error</th><th>first</th></tr>" + "".join(rows)
        return f"<div>{head}</div><table>{table}</table>"


def left_over(left: list[Chunk], failed: Iterable[Outcome], taken: int, run: RunRecord) -> Outcomes:
    """Return what a lazy map has when it ends early.

    Args:
        left: answers that were not taken, in order.
        failed: records of items that have failed.
        taken: how many items were taken.
        run: how the map has run.
    """
    answers: dict[int, Any] = {record.index: record for record in failed}
    answered = Answered(answers, run.name)
    answered.run = run
    for chunk in left:
        if isinstance(chunk, Run):  # not unpickled before somebody looks
            answered.runs.append(chunk)
            answers.update(dict.fromkeys(range(chunk.start, chunk.start + len(chunk)), UNENDED))
        else:
            answers.update(enumerate(chunk, taken))
        taken = max(taken, max(answers, default=0) + 1)
    return Outcomes(answered, sorted(answers))


def add_outcomes(error: BaseException, outcomes: Outcomes) -> None:
    """Let the exception that ends a map carry what is done; a notebook shows it in few lines."""
    from contextlib import suppress

    with suppress(Exception):  # its class takes no attributes
        error.outcomes = outcomes  # type: ignore[attr-defined]
    beautify(error)


def retrying(pool: Any, function: tuple[Any, ...], timeout: float | None, terms: Terms) -> Retry:
    """Return what runs items of a map once more in its pool, which is not kept alive for that."""
    alive = ref(pool)

    def retry(rows: list[tuple[Any, ...]]) -> Sequence[Outcome]:
        found = alive()
        if found is None:
            raise PoolClosed("the pool of these items is gone; open another one")
        columns = [list(column) for column in zip(*rows, strict=True)]
        again: Outcomes = found.on_terms(timeout, terms).map(
            *function, *columns, on_error="return", details=True
        )
        return again

    return retry
