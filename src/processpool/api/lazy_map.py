"""`pool.imap` and `pool.imap_unordered`: results one after another."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from processpool.api.map_input import FedInput
from processpool.api.map_job import trimmed
from processpool.api.map_state import SKIPPED, LazyState, Run
from processpool.api.maps import MapRun
from processpool.api.outcomes import FAILURES, Outcomes, add_outcomes, left_over

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from processpool.api.call_forms import Items
    from processpool.api.map_state import Chunk
    from processpool.api.maps import MapOptions
    from processpool.core.outcome import Outcome
    from processpool.engine.backend import Backend


class LazyMap(MapRun):
    """`pool.imap` and `pool.imap_unordered`: results one after another, as they come."""

    _state: LazyState

    def __init__(self, engine: Backend, items: Items, options: MapOptions) -> None:
        state = LazyState(
            items.total,
            stops_at_error=options.on_error == "raise",
            ordered=options.ordered,
        )
        super().__init__(engine, items, options, state)
        self.run_record.is_lazy = True
        if items.feed is not None:
            self._input = self._fed = FedInput(items.feed, items.pack)
            items.feed.begin(self._tell_consumer)

    def _tell_consumer(self) -> None:
        with self._lock:
            self._lock.notify_all()

    def results(self, *, bar: bool) -> Generator[Any]:
        """Yield the results one after another; `bar` says whether there may be a progress bar.

        Leaving it before its end stops the map.

        Raises:
            Exception: an item's error, with `on_error="raise"`; or whatever the input raised.
        """
        try:
            if not (bar and self._progress and sys.stderr is not None):
                for values in self._values():
                    yield from values
                return
            with self._new_bar() as shown:
                for values in self._values():
                    yield from values
                    shown.reach(shown.done + len(values))
        except Exception as error:
            __tracebackhide__ = True
            raise trimmed(error)  # noqa: B904 - it is the same one

    def _values(self) -> Iterator[list[Any]]:
        failed: deque[Outcome] = deque(maxlen=FAILURES)
        left: list[Chunk] = []
        try:
            with self:
                while (chunks := self._next()) is not None:
                    left = chunks
                    while left:
                        chunk = left.pop(0)
                        if isinstance(chunk, Run):
                            yield from self._taken(chunk, left, failed)
                        else:
                            self._state.taken += len(chunk)
                            yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self.abort(error)
            add_outcomes(error, self._outcomes(left, failed))
            raise

    def _taken(self, chunk: Run, left: list[Chunk], failed: deque[Outcome]) -> Iterator[list[Any]]:
        """Yield the values of a run; what has failed is kept, and what is behind an error."""
        self._state.taken += len(chunk)
        values, error = self._load(chunk)
        failed += [one for one in chunk.records if one.error is not None]
        if error is not None:
            left.insert(0, chunk.behind(len(values) + 1))
        if self._on_error == "skip":
            values = [value for value in values if value is not SKIPPED]
        yield values
        if error is not None:
            raise error

    def _outcomes(self, left: list[Chunk], failed: deque[Outcome]) -> Outcomes:
        """What was not yielded yet, and the last failures."""
        with self._lock:
            left = [*left, *self._state.leave()]
        return left_over(left, failed, self._state.taken, self.run_record)
