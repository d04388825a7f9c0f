"""How long a map is going to take: from its recent pace, and from what its workers have now.

An estimate is a range. It is narrow while items take what they took before. It is wide as soon as
items run for much longer than that, since nobody knows for how long: what has run for `a` seconds
may run for up to `2 * a` more, and so are the items behind it if most of those that run are
like that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
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


@dataclass
class Running:
    """The items of one map that run."""

    ages: list[float] = field(default_factory=list)
    """Ages in seconds of those that say nothing of themselves."""
    told: list[tuple[float, float]] = field(default_factory=list)
    """Age and done share of those that do."""


class Recent(NamedTuple):
    """How a map went lately."""

    rate: float = 0.0
    """Items in a second."""
    usual: float = 0.0
    """The seconds that a worker had each; 0 if none has ended."""
    latest: float = 0.0
    """The same of the very last ones, of one for each worker: others than usual may be coming."""
    longest: float = 0.0
    """The most that one took."""


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

    def recent(self, workers: int) -> Recent:
        """Return how it went lately."""
        now, longest = self._samples[-1], 0.0
        wanted = max(ITEMS_EACH * workers, LEAST_ITEMS)
        last: Sample | None = None
        for then in reversed(self._samples):
            if then is not now:
                longest = max(longest, then.oldest)
            items = now.ended - then.ended
            if last is None and items >= workers:
                last = then
            if items >= wanted and now.at - then.at >= LEAST_SECONDS:
                break
        items, seconds = now.ended - then.ended, now.at - then.at
        if items <= 0 or seconds <= 0:
            return Recent()
        usual = _each(then, now, workers)
        latest = usual if last is None else _each(last, now, workers)
        # the oldest was seen before its end
        return Recent(items / seconds, usual, latest, max(usual, 1.1 * longest))


def _each(then: Sample, now: Sample, workers: int) -> float:
    """Return the seconds that a worker had each of the items that have ended between two looks."""
    items, seconds = now.ended - then.ended, now.at - then.at
    spent = now.busy - then.busy + then.ages - now.ages
    return max(spent / items, workers / (items / max(seconds, 1e-6)) / 10)


class Etas:
    """The estimates for the running maps of a pool."""

    def __init__(self) -> None:
        self._paces: dict[int, Pace] = {}
        self.rates: dict[int, float] = {}
        """Items in a second, lately, by map."""

    def note(self, snapshot: PoolSnapshot) -> dict[int, Range]:
        """Take a snapshot, and return the estimates by map; of some there may be none."""
        running = {run.id: Running() for run in snapshot.maps}
        for number in self._paces.keys() - running.keys():
            del self._paces[number]
            self.rates.pop(number, None)
        for worker in snapshot.workers if running else ():
            work, age = worker.work, worker.item_age
            if work is None or age is None or (items := running.get(work[0].number)) is None:
                continue
            progress = worker.progress
            share = None if progress is None else _share(progress)
            if share is None:
                items.ages.append(age)
            else:
                items.told.append((age, share))
        found = {run.id: self._note_map(run, snapshot, running[run.id]) for run in snapshot.maps}
        return {number: eta for number, eta in found.items() if eta is not None}

    def _note_map(self, run: MapSnapshot, snapshot: PoolSnapshot, items: Running) -> Range | None:
        pace = self._paces.get(run.id)
        if pace is None:
            pace = self._paces[run.id] = Pace(snapshot.at - run.seconds)
        ended = run.done + run.cancelled
        ages = [*items.ages, *(age for age, _ in items.told)] if items.told else items.ages
        pace.note(snapshot.at, ended, ages)
        recent = pace.recent(max(len(ages), 1))
        self.rates[run.id] = recent.rate
        if run.total is None or not recent.usual:
            return None
        return estimate(run.total - ended, recent, items)


def estimate(left: int, recent: Recent, running: Running) -> Range:
    """Return how long it takes until the last item has ended.

    Args:
        left: items that have not ended, those that run included.
        recent: how it went lately.
        running: the items that run.
    """
    _, usual, latest, longest = recent
    ages = running.ages
    told = [age * (1 - share) / share for age, share in running.told]
    count = len(ages) + len(told)
    queued = max(left - count, 0)
    likely = _end(_rests(ages, usual, told), queued, usual)
    other = likely if latest == usual else _end(_rests(ages, latest, told), queued, latest)
    low = min(likely, other) * (1 - NARROW)
    high = max(likely, other) * (1 + NARROW) + max(usual, latest) / 4
    slow = max([0.0, *told, longest - min(ages, default=longest)])
    high = max(high, slow + queued // max(count, 1) * usual, likely + longest - usual)
    oldest = max(ages, default=0.0)
    if oldest > OVERDUE * usual:
        high = max(high, 2 * oldest)
        overdue = [age for age in ages if age > OVERDUE * usual]
        if 2 * len(overdue) > count:  # the items behind them may be like them
            each = 2 * sum(overdue) / len(overdue)
            high = max(high, oldest + queued * each / count)
    return Range(low, high)


def _rests(ages: Sequence[float], each: float, told: list[float]) -> list[float]:
    """Return the seconds that running items are likely to take still; of none, one that is over."""
    return [each - age if age < each else 0.0 for age in ages] + told or [0.0]


def _end(free: list[float], queued: int, usual: float) -> float:
    """Return when the last of the queued items ends, given when the workers are free."""
    rounds, rest = divmod(queued, len(free))
    last = max(free) + rounds * usual
    return max(last, sorted(free)[rest - 1] + (rounds + 1) * usual) if rest else last


def _share(progress: tuple[float, float | None, str] | None) -> float | None:
    """Return the done share that an item reports, if it makes an estimate possible."""
    if progress is None or not progress[1]:
        return None
    share = progress[0] / progress[1]
    return share if 0.02 < share <= 1 else None
