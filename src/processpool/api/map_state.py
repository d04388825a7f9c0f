"""How far a map is: what was read of its input, what has come back, and what is next.

The three maps (blocking, asyncio, executor) are thin shells around one of these. It has no lock, no
thread, no clock and no engine: whoever holds the lock of the map calls it with what has happened,
and it returns whether the consumer must be woken. None of the user's code runs in here.

    add ─▶ outstanding ─┬─ put, put_run, record ─▶ arrived ──look──▶ consumer
                        └─ drop ─▶ cancelled

An item that has ended is done, or was cancelled: it never started, or ended with an error after
its map had been cancelled. An item that is done may have failed. So, at any moment,
``read == outstanding + done + cancelled``.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core.replies import has_failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.core.jobs import Attempt, Batch, Origin
    from processpool.core.outcome import Outcome

SKIPPED = object()
"""Stands in for the value of an item that has failed, and is left out."""
ALWAYS = sys.maxsize
"""A low-water mark under which there is always something to do."""


class Step(Enum):
    """What the consumer is to do, if there is no answer for it to take."""

    READ = 1
    """Read more input, or see what else there is besides answers."""
    END = 2
    """Nothing more will come."""


class Run:
    """Answers to consecutive items, some of them more than values, and what their records need."""

    __slots__ = ("answers", "batch", "failed", "is_late", "items", "origin", "records", "start")

    def __init__(
        self,
        batch: Batch,
        answers: list[Any],
        origin: Origin,
        items: Sequence[Any] = (),
    ) -> None:
        """`items` are what was asked, if that is known."""
        self.start = batch.start
        self.items = items
        self.is_late = False
        """The map was cancelled before: errors are for that."""
        self.records: list[Outcome] = []
        """Those of its answers that turned out to be more than values, once they are loaded."""
        self.answers = answers
        self.batch = batch
        self.origin = origin
        self.failed = 0 if origin.plain else sum(map(has_failed, answers))
        """How many of the answers are known to be errors."""

    def __len__(self) -> int:
        return len(self.answers)

    def outcome(self, offset: int, answer: Any) -> Outcome:
        """Return the record of one of the items, whose answer may be loaded by now."""
        return self.batch.outcome(offset, answer, self.origin, self.args(offset))

    def attempt(self, offset: int, answer: Any) -> Attempt:
        """Return what has become of one of the items; its record is made later."""
        return self.batch.attempt(offset, answer, self.origin, self.args(offset))

    def behind(self, count: int) -> Run:
        """Return the answers behind the first so many."""
        _, batch = self.batch.split(count)
        return Run(batch, self.answers[count:], self.origin, self.items[count:])

    def args(self, offset: int) -> tuple[Any, ...]:
        """Return what one of the items was called with; nothing if that is not known."""
        return self.batch.job.args_of(self.items[offset]) if self.items else ()


Chunk = list[Any] | Run
"""Answers to consecutive items: their values, or a run that is more."""


class Counts(NamedTuple):
    """How far a map is."""

    done: int
    """Items that were answered, those with an error included."""
    failed: int
    """Those with an error."""
    cancelled: int
    """Items that will never be answered."""
    total: int | None
    """Items in all; None while that is not known."""


class MapState(ABC):
    """What all maps have in common; subclasses keep what has arrived."""

    def __init__(self, total: int | None = None, *, stops_at_error: bool = False) -> None:
        """Begin with nothing read.

        Args:
            total: how many items there will be, if that is known.
            stops_at_error: an item that fails ends the map.
        """
        self._total = total
        self._stops_at_error = stops_at_error
        self._ahead = 0
        self.read = 0
        """Items of the input that were read."""
        self.taken = 0
        """Items whose answers the consumer has taken; it counts them itself."""
        self._open = 0
        """Items that were read and have not ended."""
        self.failed = 0
        self.cancelled = 0
        self.exhausted = False
        """No more items will be read."""
        self.failure: Attempt | None = None
        """The item whose error ends the map."""
        self.error: BaseException | None = None
        """What else ends it from outside: it was stopped, or the pool was."""
        self.input_error: BaseException | None = None
        self._is_read = False
        self._is_stopped = False

    # -- reading ---------------------------------------------------------------------------------

    def allow(self, ahead: int) -> None:
        """So many items may be read before they are needed."""
        self._ahead = ahead

    @property
    @abstractmethod
    def free(self) -> int:
        """How many items may be read at the moment."""

    @property
    def room(self) -> int:
        """How many items are to be read now; 0 as long as it is not worth it."""
        free = self.free
        if free < self._ahead // 2 and self.outstanding:
            return 0
        return free

    def add(self, count: int) -> int:
        """So many items were read, and will be submitted; returns the index of the first."""
        start = self.read
        self.read += count
        self._open += count
        return start

    def end_input(self, error: BaseException | None = None) -> None:
        """The input has come to its end, or has raised an error."""
        self.exhausted = True
        self._is_read = error is None
        self.input_error = error

    # -- arrivals --------------------------------------------------------------------------------

    puts_freely = False
    """True if `put` needs no lock, as long as no two threads call it at a time."""

    @abstractmethod
    def put(self, index: int, value: Any) -> bool:
        """An item has this value; True if the consumer is to be woken."""

    @abstractmethod
    def put_run(self, start: int, values: list[Any]) -> bool:
        """Consecutive items have these values; True if the consumer is to be woken."""

    def record(self, run: Run, *, cancelled: bool = False) -> bool:
        """Answers have come that are more than values; True if the consumer is to be woken.

        Args:
            run: the answers.
            cancelled: the map was cancelled before: if one of them is an error, it is for that.
        """
        self._open -= len(run)
        run.is_late = cancelled
        if run.failed and cancelled:
            self.cancelled += run.failed
        elif run.failed:
            self.failed += run.failed
            if self._stops_at_error and self.failure is None and self.error is None:
                self.failure = _first_failure(run)
                self.exhausted = True
        return self._arrive(run)

    @abstractmethod
    def _arrive(self, run: Run) -> bool:
        """Keep answers for the consumer; True if it is to be woken."""

    def drop(self, start: int, count: int, error: BaseException | None) -> bool:
        """These items never start; True if the consumer is to be woken."""
        self._open -= count
        self.cancelled += count
        self.exhausted = True
        if self.error is None:
            self.error = error
        return True

    def stop(self, error: BaseException) -> None:
        """The map is over, whatever may still come: the consumer gets `error`."""
        self.error = self.error or error
        self.exhausted = self._is_stopped = True

    # -- the consumer ----------------------------------------------------------------------------

    @abstractmethod
    def look(self) -> list[Chunk] | Step | None:
        """Return answers that can be taken now, or what to do instead; None to wait.

        Answers that were returned are the consumer's, and are not returned again.
        """

    @property
    def ending(self) -> BaseException | Attempt | None:
        """Why the map ends early, if it does."""
        return self.failure or self.error or self.input_error

    # -- counts ----------------------------------------------------------------------------------

    @property
    def outstanding(self) -> int:
        """Items that were read and have not ended."""
        return self._open

    @property
    def done(self) -> int:
        """Items that were answered."""
        return self.read - self.outstanding - self.cancelled

    @property
    def is_complete(self) -> bool:
        """True if every item of the input was read and has ended."""
        return self.exhausted and not self.outstanding

    def counts(self, *, over: bool) -> Counts:
        """How far it is; when it is over, whatever is not done was cancelled."""
        total = self._total
        if total is None or self._is_read or total < self.read:
            total = self.read if self.exhausted else None
        done, cancelled = self.done, self.cancelled
        if over:
            cancelled = (self.read if total is None else total) - done
        return Counts(done, self.failed, cancelled, total)


class LazyState(MapState):
    """A map whose answers are taken one after another; it keeps only those not yet taken."""

    def __init__(
        self, total: int | None = None, *, stops_at_error: bool = False, ordered: bool = True
    ) -> None:
        """With `ordered`, answers are taken in the order of the items, else as they come."""
        super().__init__(total, stops_at_error=stops_at_error)
        self._ordered = ordered
        self._ready: list[Chunk] = []
        self._next = 0
        """The first item that is not among those ready, nor was before."""
        self._early: dict[int, Chunk] = {}
        """What has arrived before its turn, by its first item."""
        self._gap = ALWAYS
        """The first item that will never be answered."""

    @property
    def free(self) -> int:
        """How many items may be read at the moment."""
        return 0 if self.exhausted else max(self._ahead - (self.read - self.taken), 0)

    def put(self, index: int, value: Any) -> bool:
        """An item has this value."""
        self._open -= 1
        return self._keep(index, [value])

    def put_run(self, start: int, values: list[Any]) -> bool:
        """Consecutive items have these values."""
        self._open -= len(values)
        return self._keep(start, values)

    def _arrive(self, run: Run) -> bool:
        return self._keep(run.start, run)

    def _keep(self, start: int, chunk: Chunk) -> bool:
        if not self._ordered:
            self._ready.append(chunk)
            return True
        if start != self._next:
            self._early[start] = chunk
            return not self.outstanding
        self._ready.append(chunk)
        following = start + len(chunk)
        while following in self._early:
            chunk = self._early.pop(following)
            self._ready.append(chunk)
            following += len(chunk)
        self._next = following
        return True

    def drop(self, start: int, count: int, error: BaseException | None) -> bool:
        """These items never start: in their place, the map ends."""
        self._gap = min(self._gap, start)
        return super().drop(start, count, error)

    def leave(self) -> list[Chunk]:
        """Return what has arrived and was not taken, in order, as far as there is one."""
        early = [self._early[start] for start in sorted(self._early)]
        left, self._ready, self._early = [*self._ready, *early], [], {}
        return left

    def look(self) -> list[Chunk] | Step | None:
        """The next answers, or what is to be done instead."""
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        if self._is_stopped or self.is_complete or (self._ordered and self._next == self._gap):
            return Step.END
        return Step.READ if self.room > 0 else None


def _first_failure(run: Run) -> Attempt:
    offset = next(at for at, answer in enumerate(run.answers) if has_failed(answer))
    return run.attempt(offset, run.answers[offset])
