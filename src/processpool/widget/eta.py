"""How long a map is going to take: from its recent pace, and from what its workers have now.

An estimate is a range. It is narrow while items take what they took before. It is wide as soon as
items run for much longer than that, since nobody knows for how long: what has run for `a` seconds
may run for up to `2 * a` more, and so are the items behind it if most of those that run are
like that.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.core.snapshot import MapSnapshot, PoolSnapshot

ITEMS_EACH = 2
"""The recent pace is that of so many items for each worker,"""
LEAST_ITEMS = 6
"""of at least so many items,"""
LEAST_SECONDS = 2.0
"""and of at least so many seconds."""
MAX_SAMPLES = 400
"""Looks that are remembered of a map; of a long one, every other is dropped now and then."""
OVERDUE = 2.0
"""An item whose age is more than this multiple of the usual time may take any time."""
NARROW = 0.2
"""The part by which an estimate may be off even if nothing is unusual."""


class Range(NamedTuple):
    """Between these seconds, a map is going to end."""

    low: float
    high: float


class Sample(NamedTuple):
    """How far a map was at a time."""

    at: float
    ended: int
    busy: float
    """Seconds for which workers have been busy with it, all together."""
    ages: float
    """The ages of the items that ran, added up."""
    oldest: float
    """The greatest of these ages."""


class Pace:
    """The recent pace of one map."""

    def __init__(self, began: float) -> None:
        self._samples: deque[Sample] = deque([Sample(began, 0, 0.0, 0.0, 0.0)])

    def note(self, at: float, ended: int, ages: Sequence[float]) -> None:
        """So many items have ended by then, and these run."""
        last = self._samples[-1]
        busy = last.busy + max(at - last.at, 0.0) * len(ages)
        self._samples.append(Sample(at, ended, busy, sum(ages), max(ages, default=0.0)))
        if len(self._samples) > MAX_SAMPLES:
            known = list(self._samples)
            half = MAX_SAMPLES // 2
            self._samples = deque([*known[:half:2], *known[half:]])

    def recent(self, workers: int) -> tuple[float, float, float]:
        """Return items in a second, the seconds that a worker had each, and the most, lately."""
        now, longest = self._samples[-1], 0.0
        wanted = max(ITEMS_EACH * workers, LEAST_ITEMS)
        for then in reversed(self._samples):
            if then is not now:
                longest = max(longest, then.oldest)
            if now.ended - then.ended >= wanted and now.at - then.at >= LEAST_SECONDS:
                break
        items, seconds = now.ended - then.ended, now.at - then.at
        if items <= 0 or seconds <= 0:
            return 0.0, 0.0, 0.0
        spent = now.busy - then.busy + then.ages - now.ages
        usual = max(spent / items, workers / (items / seconds) / 10)
        return items / seconds, usual, max(usual, 1.1 * longest)  # seen before its end


class Etas:
    """The estimates for the running maps of a pool."""

    def __init__(self) -> None:
        self._paces: dict[int, Pace] = {}
        self.rates: dict[int, float] = {}
        """Items in a second, lately, by map."""

    def note(self, snapshot: PoolSnapshot) -> dict[int, Range]:
        """Take a snapshot, and return the estimates by map; of some there may be none."""
        running = {run.id for run in snapshot.maps}
        for number in [number for number in self._paces if number not in running]:
            del self._paces[number]
            self.rates.pop(number, None)
        return {
            run.id: found
            for run in snapshot.maps
            if (found := self._note_map(run, snapshot)) is not None
        }

    def _note_map(self, run: MapSnapshot, snapshot: PoolSnapshot) -> Range | None:
        items = [
            (worker.item_age or 0.0, _share(worker.progress))
            for worker in snapshot.workers
            if worker.work is not None and worker.work[0].number == run.id
        ]
        pace = self._paces.get(run.id)
        if pace is None:
            pace = self._paces[run.id] = Pace(snapshot.at - run.seconds)
        ended = run.done + run.cancelled
        pace.note(snapshot.at, ended, [age for age, _ in items])
        workers = max(len(items), 1)
        self.rates[run.id], usual, longest = pace.recent(workers)
        if run.total is None or not usual:
            return None
        return estimate(run.total - ended, usual, items, longest)


def estimate(
    left: int,
    usual: float,
    running: Sequence[tuple[float, float | None]],
    longest: float = 0.0,
) -> Range:
    """Return how long it takes until the last item has ended.

    Args:
        left: items that have not ended, those that run included.
        usual: seconds that an item took, lately.
        running: age in seconds and, if it is known, the done share of each item that runs.
        longest: the most seconds that an item took, lately.
    """
    queued = max(left - len(running), 0)
    free = _rests(running, usual)
    likely = _end(free, queued, usual)
    low, high = likely * (1 - NARROW), likely * (1 + NARROW) + usual / 4
    slow = _rests(running, longest)
    high = max(high, max(slow) + queued // len(slow) * usual, likely + longest - usual)
    overdue = [age for age, share in running if not share and age > OVERDUE * usual]
    if overdue:
        high = max(high, 2 * max(overdue))
        if 2 * len(overdue) > len(running):  # the items behind them may be like them
            each = 2 * sum(overdue) / len(overdue)
            high = max(high, max(overdue) + queued * each / len(running))
    return Range(low, high)


def _rests(running: Sequence[tuple[float, float | None]], usual: float) -> list[float]:
    """Return the seconds that running items are likely to take still; of none, one that is over."""
    return [
        age * (1 - share) / share if share else (usual - age if age < usual else 0.0)
        for age, share in running
    ] or [0.0]


def _end(free: list[float], queued: int, usual: float) -> float:
    """Return when the last of the queued items ends, given when the workers are free."""
    rounds, rest = divmod(queued, len(free))
    ends = sorted(seconds + rounds * usual for seconds in free)
    last = max(ends)
    return max(last, ends[rest - 1] + usual) if rest else last


def _share(progress: tuple[float, float | None, str] | None) -> float | None:
    """Return the done share that an item reports, if it makes an estimate possible."""
    if progress is None or not progress[1]:
        return None
    share = progress[0] / progress[1]
    return share if 0.02 < share <= 1 else None
