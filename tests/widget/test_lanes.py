from __future__ import annotations

from processpool.core.states import WorkerState
from processpool.widget.lanes import COLUMNS, Lanes
from tests.widget.snapshots import busy, pool, worker


def letters(lanes: Lanes) -> str:
    """The first lane, from the oldest column to the newest."""
    return "".join(column[0] * count for count, column in lanes.all() if column)


def test_each_lane_says_what_its_worker_does() -> None:
    lanes = Lanes()
    workers = [
        worker(number, state=state)
        for number, state in enumerate(WorkerState, 1)
        if state != "busy"
    ]
    assert lanes.note(pool(*workers)) == [(1, "sile")]


def test_a_new_item_begins_and_an_old_one_goes_on() -> None:
    lanes = Lanes()
    lanes.note(pool(busy(1, item=0), at=100.0))
    lanes.note(pool(busy(1, item=0), at=100.25))
    lanes.note(pool(busy(1, item=5, handled=1), at=100.5))
    assert letters(lanes) == "bcb"


def test_the_same_item_of_another_map_is_a_new_one() -> None:
    lanes = Lanes()
    lanes.note(pool(busy(1, item=0, handled=1), at=100.0))
    lanes.note(pool(busy(1, item=0, handled=2), at=100.25))
    assert letters(lanes) == "bb"


def test_looking_twice_in_a_quarter_of_a_second_adds_nothing() -> None:
    lanes = Lanes()
    assert lanes.note(pool(worker(1), at=100.01))
    assert lanes.note(pool(worker(1), at=100.02)) == []


def test_columns_that_were_missed_are_filled_in() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), at=100.0))
    assert lanes.note(pool(busy(1, item=0), at=101.0)) == [(3, "c"), (1, "b")]


def test_a_worker_that_died_with_an_item_leaves_a_mark() -> None:
    lanes = Lanes()
    lanes.note(pool(busy(1, item=0), worker(2), at=100.0))
    assert lanes.note(pool(worker(2), at=100.25)) == [(1, "xi")]


def test_a_worker_that_left_without_an_item_leaves_none() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), worker(2), at=100.0))
    assert lanes.note(pool(worker(2), at=100.25)) == [(1, ".i")]


def test_a_failed_item_leaves_a_mark() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), at=100.0))
    assert lanes.note(pool(worker(1, failed=1), at=100.25)) == [(1, "x")]


def test_a_replacement_takes_the_seat() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), worker(2), at=100.0))
    lanes.note(pool(worker(2), worker(3), at=100.25))
    assert lanes.workers == [3, 2]


def test_lanes_that_nobody_needs_are_given_up() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), worker(2), worker(3), at=100.0))
    lanes.note(pool(worker(1), at=100.25))
    assert lanes.workers == [1]


def test_memory_is_bounded() -> None:
    lanes = Lanes()
    for quarter in range(5 * COLUMNS):
        lanes.note(pool(busy(quarter + 1, item=quarter), at=100 + quarter / 4))
    assert sum(count for count, _ in lanes.all()) == COLUMNS
    assert len(lanes.workers) == 1


def test_a_long_sleep_is_one_run() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), at=100.0))
    assert lanes.note(pool(worker(1), at=10_000.0)) == [(COLUMNS, "i"), (1, "i")]
    assert lanes.all() == [(COLUMNS, "i")]
