"""The state of a map whose results are all wanted at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.api.map_state import ALWAYS, MapState, Run, Step

if TYPE_CHECKING:
    from processpool.api.map_state import Chunk
    from processpool.core.rows import Rows

UNENDED = object()
"""Stands for the answer of an item that has not ended."""


class EagerState(MapState):
    """A map whose results are all wanted at once: each has its place in a list from the start.

    A plain value costs a store and a count, which only whoever leads the engine makes. An error
    that ends the map does so as soon as it is known.
    """

    puts_freely = True

    def __init__(
        self,
        total: int | None = None,
        *,
        stops_at_error: bool = False,
        watched: bool = False,
        rows: Rows | None = None,
    ) -> None:
        """Begin with nothing read.

        Args:
            total: how many items there will be, if that is known.
            stops_at_error: an item that fails ends the map.
            watched: the consumer is woken for each answer, since it shows how far it is.
            rows: takes when and where each item ran.
        """
        super().__init__(total, stops_at_error=stops_at_error)
        self.rows = rows
        self.results: list[Any] = []
        """By index: a value, or what `settled` makes of an answer that is more."""
        self._put = 0
        """Items whose values were `put`; those are still counted in `_open`."""
        self._watched = watched
        self._seen = 0
        """Items that had ended when the consumer looked last."""
        self._low = ALWAYS if watched else 0
        """Wake the consumer when no more than so many items are outstanding."""
        self._arrived: list[Chunk] = []

    def allow(self, ahead: int) -> None:
        """So many items may be outstanding."""
        self._ahead = ahead
        if not self._watched:
            self._low = 0 if self.exhausted else ahead // 2

    @property
    def free(self) -> int:
        """How many items may be read at the moment."""
        return 0 if self.exhausted else max(self._ahead - self.outstanding, 0)

    def add(self, count: int) -> int:
        """So many items were read, and will be submitted."""
        self.results += [UNENDED] * count
        if self.rows is not None:
            self.rows.extend(count)
        return super().add(count)

    def end_input(self, error: BaseException | None = None) -> None:
        """The input has come to its end, or has raised an error."""
        super().end_input(error)
        self.allow(self._ahead)

    def put(self, index: int, value: Any) -> bool:
        """An item has this value."""
        self.results[index] = value
        self._put += 1
        return self._open - self._put <= self._low

    def put_run(self, start: int, values: list[Any]) -> bool:
        """Consecutive items have these values."""
        count = len(values)
        self.results[start : start + count] = values
        self._open -= count
        return self.outstanding <= self._low

    @property
    def outstanding(self) -> int:
        """Items that were read and have not ended."""
        return self._open - self._put

    def _arrive(self, run: Run) -> bool:
        """Keep answers for the consumer, which loads them meanwhile and calls `settle`."""
        self._arrived.append(run)
        if self.rows is not None:
            self.rows.add(run.batch, run.origin)
        return True

    def settle(self, start: int, values: list[Any]) -> None:
        """Put the values of a run into their places, now that they are unpickled."""
        self.results[start : start + len(values)] = values

    @property
    def arrived(self) -> list[Chunk]:
        """Runs that nobody has settled yet."""
        return self._arrived

    def look(self) -> list[Chunk] | Step | None:
        """Return runs that must be loaded and settled, in any order, or what to do instead."""
        if self._is_stopped or self.ending is not None:
            return Step.END
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            return arrived
        if self.is_complete:
            return Step.END
        ended = self.read - self.outstanding
        if self.room > 0 or (self._watched and ended > self._seen):
            self._seen = ended
            return Step.READ
        return None
