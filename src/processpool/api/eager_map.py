"""`pool.map`: all results at once."""

from __future__ import annotations

import sys
from functools import partial
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.answered import Answered, settled
from processpool.api.eager_state import UNENDED, EagerState
from processpool.api.inputs import AllInputs, OpenInputs
from processpool.api.map_input import MAX_CHUNK
from processpool.api.map_job import args_of, raisable
from processpool.api.map_state import SKIPPED, Run
from processpool.api.maps import MapRun
from processpool.api.outcomes import Outcomes, add_outcomes
from processpool.core.jobs import Attempt
from processpool.core.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.api.call_forms import Items
    from processpool.api.map_state import Chunk
    from processpool.api.maps import MapOptions
    from processpool.engine.backend import Backend


class EagerMap(MapRun):
    """`pool.map`: all results at once, in a list."""

    _state: EagerState

    def __init__(self, engine: Backend, items: Items, options: MapOptions) -> None:
        state = EagerState(
            items.total,
            stops_at_error=options.on_error == "raise",
            watched=bool(options.progress),
            rows=Rows() if options.details else None,
        )
        super().__init__(engine, items, options, state)
        self._unusual: list[int] = []
        """Items whose answers are more than values."""

    def _new_inputs(self) -> OpenInputs | AllInputs | None:
        return AllInputs() if self._details else super()._new_inputs()

    def _ahead(self) -> int:
        """Return how far to read ahead: further than other maps, as far as memory allows."""
        capacity = self._capacity()
        worth = max(min(4 * capacity + MAX_CHUNK, self._input.items_worth), 2 * capacity)
        return min(worth, self._engine.max_pending + capacity)

    def collect(self, *, bar: bool) -> Sequence[Any]:
        """Return the results; `bar` says whether there may be a progress bar.

        Raises:
            Exception: an item's error, with `on_error="raise"`; or whatever the input raised.
        """
        try:
            self._run(bar=bar)
        except BaseException as error:
            add_outcomes(error, self.outcomes())
            raise
        return self._details_of() if self._details else self._values()

    def _run(self, *, bar: bool) -> None:
        if not (bar and self._progress and sys.stderr is not None):
            with self:
                while (runs := self._next()) is not None:
                    self._settle(runs)
            return
        with self._new_bar() as shown, self:
            while (runs := self._next()) is not None:
                self._settle(runs)
                shown.reach(self._state.done)
            shown.reach(self._state.done)

    def _settle(self, runs: list[Chunk]) -> None:
        failure: Attempt | None = None
        while runs:
            run = runs.pop(0)
            assert isinstance(run, Run)
            began = monotonic()
            values, spoilt, first = settled(run)
            self.run_record.phases.loading += monotonic() - began
            self._state.settle(run.start, values)
            self._note_unusual(run, values)
            if spoilt:
                with self._lock:
                    self._state.failed += spoilt
                    self._note_spoilt(run, [at.record for at in values if type(at) is Attempt])
            failure = failure or first
        if failure is not None and self._on_error == "raise":
            assert failure.record.error is not None
            raise raisable(failure.record.error)

    def _note_unusual(self, run: Run, values: list[Any]) -> None:
        if not run.origin.plain:
            found = enumerate(values, run.start)
            self._unusual += [index for index, value in found if type(value) is Attempt]

    def _values(self) -> list[Any]:
        """The results without their records."""
        results = self._state.results
        for index in self._unusual:
            record = results[index].record
            failed = SKIPPED if self._on_error == "skip" else record.error
            results[index] = record.value if record.error is None else failed
        if self._unusual and self._on_error == "skip":
            return [result for result in results if result is not SKIPPED]
        return results

    def _details_of(self) -> Outcomes:
        outcomes = self.outcomes()
        return outcomes.ok if self._on_error == "skip" and self._unusual else outcomes

    def outcomes(self) -> Outcomes:
        """What has become of the items so far, and of those that were not even read."""
        with self._lock:
            total = self._state.counts(over=True).total
            answered = Answered(self._state.results, self.label)
            if not self._state.is_complete:
                answered.answers = list(answered.answers)  # what is late comes too late
            answered.runs = list(self._state.arrived)
        answered.rows = self._state.rows
        answered.run = self.run_record
        unread = (total or 0) - len(answered.answers)
        if unread > 0:
            answered.answers = [*answered.answers, *[UNENDED] * unread]
        if isinstance(self._inputs, AllInputs):
            answered.items = self._inputs.items
            answered.rest = islice(self._input.rest, unread) if unread > 0 else None
        answered.args_of = partial(args_of, spread=self._is_spread)
        answered.retry = self.retry
        answered.secrets = () if self.naming is None else self.naming.secrets
        return Outcomes(answered)
