"""Estimates, held against what came: simulated maps, looked at four times a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from processpool.core.snapshot import MapSnapshot
from processpool.widget.eta import Etas, Range, Recent, Running, estimate
from tests.widget.snapshots import busy, pool

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Job:
    number: int


def looks(durations: Sequence[float], workers: int) -> list[tuple[float, float, Range | None]]:
    """Return time, seconds that really remained, and the estimate, of each look."""
    free = [0.0] * workers
    spans = []
    for seconds in durations:
        slot = free.index(min(free))
        spans.append((free[slot], free[slot] + seconds))
        free[slot] += seconds
    end, etas, found = max(free), Etas(), []
    for quarter in range(int(end * 4)):
        at = quarter / 4
        running = [at - begin for begin, until in spans if begin <= at < until]
        done = sum(until <= at for _, until in spans)
        work = (cast("Any", Job(1)), None)
        rows = [busy(n + 1, item=n, age=age, work=work) for n, age in enumerate(running)]
        run = MapSnapshot(1, "map", done, 0, len(durations), at)
        found.append((at, end - at, etas.note(pool(*rows, at=100 + at, maps=(run,))).get(1)))
    return found


@pytest.mark.parametrize(
    ("durations", "workers"),
    [
        ([0.5] * 200, 4),
        ([0.1] * 60 + [2.0] * 20, 4),
        ([0.1] * 60 + [2.0] * 20, 8),
        ([0.5] * 30 + [20.0], 4),
        ([0.02] * 5000, 4),
        ([5.0] * 40, 8),
        ([1.0, 3.0] * 30, 4),
    ],
    ids=["steady", "short, then long", "the same, wide", "a straggler", "quick", "slow", "mixed"],
)
def test_from_the_middle_on_it_is_near_or_the_range_holds(
    durations: list[float], workers: int
) -> None:
    found = looks(durations, workers)
    end = found[-1][0] + found[-1][1]
    wrong = []
    for at, left, eta in found:
        if at < end / 2 or left < 1.5:
            continue
        assert eta is not None
        low, high = eta
        near = abs((low + high) / 2 - left) <= 0.25 * left
        if not (near or low <= left <= high):
            wrong.append((at, left, eta))
    assert not wrong


def test_steady_work_has_a_narrow_range() -> None:
    for at, left, eta in looks([0.5] * 200, 4):
        if at > 5 and left > 2:
            assert eta is not None
            assert eta.high <= 1.6 * eta.low


def test_what_an_item_says_of_itself_counts() -> None:
    low, high = estimate(1, Recent(2.0, 0.5, 0.5, 0.5), Running(told=[(10.0, 0.25)]))
    assert low <= 30 <= high
    assert high < 40


def test_without_a_length_there_is_no_estimate() -> None:
    run = MapSnapshot(1, "map", 100, 0, None, 10.0)
    assert Etas().note(pool(busy(1, item=1), maps=(run,))) == {}
