"""How a map has run: which worker had which items and when, what failed, where the time went.

One is kept of every map, so keeping it must cost next to nothing, in time and in memory:

- it is told of answers as they come, many items at a time where they are fast. Stretches of one
  worker that follow each other are joined, until they are worth an entry of their own;
- the latest `KEPT` entries are in a ring of bytes, everything before is only in the totals;
- what an item was is remembered of those that somebody may point at: of the first of each of the
  latest `NAMED` stretches, as much as a line shows, and of the slowest.

Whoever writes holds the lock of the map. It knows no clock: times are given, in monotonic seconds.
"""

from __future__ import annotations

from collections import deque
from heapq import heappush, heappushpop
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core.error_groups import ErrorGroups
from processpool.core.glimpses import LINE, glimpse, small
from processpool.core.run_totals import RunTotals, Stretch
from processpool.core.time_bins import TimeBins

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = 100_000
"""Entries that are kept as they are: at least so many items."""
SHORTEST = 0.001
"""Seconds that a stretch has at least, if one as short follows it at once;"""
SHORTEST_OF_SLOT = 0.0005
"""or so many for each of the slots: this bounds the entries of a second, whatever the pool."""
GAP = 0.0005
"""Seconds that may be between two stretches that are joined."""
SLOWEST = 12
"""The slowest items that are remembered."""
MOST_ERRORS = 100
"""Kinds of errors that are told apart."""

NAMED = 4000
"""Stretches whose first item is remembered, the latest ones."""
FAILED = 1000
"""Items whose error is remembered, the latest ones."""

_ENTRY = Struct("iIQIIddd")


def shortest_stretch(slots: int) -> float:
    """Return below how many seconds stretches are joined, in a pool with so many slots."""
    return max(SHORTEST, SHORTEST_OF_SLOT * slots)


class SlowItem(NamedTuple):
    """One of the slowest items."""

    seconds: float
    first: int
    """Its index."""
    items: int
    """How many items share these seconds, each of them: it is the first."""
    slot: int
    asked: Any
    """What it was asked, if that is known; as it travels."""

    def __lt__(self, other: tuple[Any, ...]) -> bool:
        return bool(self.seconds < other[0])


class Phases:
    """Where the time of the thread that consumes a map went, in seconds; the rest is its own."""

    __slots__ = ("loading", "packing", "reading", "waiting")

    def __init__(self) -> None:
        self.reading = 0.0
        """It waited for the input."""
        self.packing = 0.0
        """It pickled or encoded items."""
        self.waiting = 0.0
        """It waited for answers, and passed them on."""
        self.loading = 0.0
        """It unpickled answers."""


class RunRecord:
    """How one map has run, or runs."""

    def __init__(
        self, number: int, name: str, began: float, *, began_at: float = 0.0, slots: int = 1
    ) -> None:
        """Begin with nothing.

        Args:
            number: the number of the map.
            name: what it is called.
            began: when it began.
            began_at: the same, as `time.time()` has it.
            slots: how many workers there may be at a time.
        """
        self.number = number
        self.name = name
        self.began = began
        self.began_at = began_at
        self.ended: float | None = None
        """When it ended; None while it runs."""
        self.slots = slots
        self.is_lazy = False
        """True if its consumer takes the answers one after another."""
        self.done = self.failed = self.cancelled = 0
        """How far it is: items that were answered, those of them that failed, and those that never
        will be."""
        self.total: int | None = None
        """Items in all; None if that is not known."""
        self.phases = Phases()
        self.input_ended: float | None = None
        """When the end of the input was read."""
        self.errors = ErrorGroups(MOST_ERRORS)
        self.why = ""
        """What ended it early, in words; empty if nothing has."""
        self._totals: RunTotals | None = None
        self._memory: TimeBins | None = None
        self._slowest: list[SlowItem] = []
        self._ring = bytearray()
        self._next = 0
        self._open: dict[int, list[Any]] = {}
        """By slot, the stretch that the next one may be joined to."""
        self._named: deque[tuple[int, Any]] = deque(maxlen=NAMED)
        """The index of an item, and what it was."""
        self._failed: deque[tuple[int, str]] = deque(maxlen=FAILED)
        """The index of an item, and its error."""
        self._shortest = shortest_stretch(slots)

    # -- writing ---------------------------------------------------------------------------------

    def note(
        self,
        slot: int,
        worker_id: int,
        index: int,
        count: int,
        since: float,
        until: float,
        wait: float = 0.0,
        failed: int = 0,
        item: Any = None,
    ) -> None:
        """Answers have come from a worker.

        Args:
            slot: that of the worker.
            worker_id: the worker.
            index: the first of the items.
            count: how many of them there are.
            since: when the worker had got them, or had ended the one before.
            until: when the answers came.
            wait: seconds for which the first had waited.
            failed: how many have failed.
            item: what the first was, if that is known; only a small one is kept.
        """
        last = self._open.get(slot)
        if last is not None:
            _, known, _, _, bad, begin, end, _ = last
            short = end - begin < self._shortest and until - since < self._shortest
            follows = short and since - end <= GAP and not (failed or bad)
            if known == worker_id and (follows or until == end):  # as of one notice
                last[6] = until
                last[3] += count
                last[4] += failed
                return
            self._keep(last)
            since = max(since, end)
        self._open[slot] = [slot, worker_id, index, count, failed, since, until, wait]
        if item is not None:
            self._named.append((index, glimpse(item)))
        each = (until - since) / count
        if len(self._slowest) < SLOWEST or each > self._slowest[0].seconds:
            self._note_slow(SlowItem(each, index, count, slot, small(item)))

    def note_memory(self, slot: int, at: float, resident: int) -> None:
        """The worker in a slot had so many bytes in memory."""
        if self._memory is None:
            self._memory = TimeBins(self.began, largest=True)
        self._memory.add(slot, max(at, self.began), resident)

    def note_counts(self, done: int, failed: int, cancelled: int, total: int | None) -> None:
        """It is this far."""
        self.done, self.failed, self.cancelled, self.total = done, failed, cancelled, total

    def note_failure(self, index: int, text: str, example: Any = None) -> None:
        """An item has failed, with an error of this class and message; `example` is its record."""
        self.errors.add(index, text, example)
        self._failed.append((index, text[: 2 * LINE]))  # secrets are masked before it is cut to one

    def _note_slow(self, item: SlowItem) -> None:
        if len(self._slowest) < SLOWEST:
            heappush(self._slowest, item)
        else:
            heappushpop(self._slowest, item)

    def _keep(self, stretch: list[Any]) -> None:
        ring = self._ring
        if len(ring) < KEPT * _ENTRY.size:
            ring += _ENTRY.pack(*stretch)
            return
        if self._totals is None:
            self._totals = RunTotals(self.began)
        at = self._next
        self._totals.add(Stretch._make(_ENTRY.unpack_from(ring, at)))
        _ENTRY.pack_into(ring, at, *stretch)
        self._next = (at + _ENTRY.size) % len(ring)

    # -- reading ---------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """How long it ran; up to its last answer, if it still does."""
        if self.ended is not None:
            return self.ended - self.began
        return max((last[6] for last in self._open.values()), default=self.began) - self.began

    @property
    def memory(self) -> TimeBins | None:
        """The most memory of each slot over time, in bytes; None if it was never looked at."""
        return self._memory

    def stretches(self) -> Iterator[Stretch]:
        """Yield the latest stretches, as they have ended, but for those that still go on."""
        ring, at = bytes(self._ring), self._next
        recent = [Stretch._make(last) for last in list(self._open.values())]
        for fields in _ENTRY.iter_unpack(ring[at:] + ring[:at]):
            yield Stretch._make(fields)
        yield from sorted(recent, key=lambda stretch: stretch.until)

    def totals(self) -> RunTotals:
        """Return what all stretches add up to."""
        totals = RunTotals(self.began) if self._totals is None else self._totals.copy()
        for stretch in self.stretches():
            totals.add(stretch)
        return totals

    def slowest(self) -> list[SlowItem]:
        """Return the slowest items, the slowest first."""
        return sorted(self._slowest, reverse=True)

    def named(self) -> dict[int, Any]:
        """Return what items were, by index: the slowest, and the first ones of late stretches."""
        slow = {one.first: one.asked for one in self._slowest if one.asked is not None}
        return {index: item for index, item in self._named.copy() if item is not None} | slow

    def failures(self) -> dict[int, str]:
        """Return errors of items by index: of the last ones, and of the first of each kind."""
        first = {group.index: group.message for group in self.errors.largest_first()}
        return first | dict(self._failed.copy())

    def __repr__(self) -> str:
        return f"<RunRecord of {self.name!r}: {self.done} done, {self.seconds:.3g} s>"
