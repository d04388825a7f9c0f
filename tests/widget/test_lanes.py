from __future__ import annotations

from processpool.core.snapshot import Loss
from processpool.core.states import WorkerState
from processpool.widget.lanes import COLUMNS, Lanes
from tests.widget.snapshots import busy, pool, worker


def letters(lanes: Lanes) -> str:
    """The first lane, from the oldest column to the newest."""
    return "".join(column[0] * count for count, column, _ in lanes.all() if column)


def test_each_lane_says_what_its_worker_does() -> None:
    lanes = Lanes()
    workers = [
        worker(number, state=state)
        for number, state in enumerate(WorkerState, 1)
        if state != "busy"
    ]
    assert lanes.note(pool(*workers)) == [(1, "sile", {0: 1, 1: 2, 2: 4, 3: 5})]


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
    assert lanes.note(pool(busy(1, item=0), at=101.0)) == [(3, "c", {}), (1, "b", {})]


def test_a_worker_that_died_with_an_item_leaves_a_mark() -> None:
    lanes = Lanes()
    lanes.note(pool(busy(1, item=0), worker(2), at=100.0))
    lost = (Loss(1, "failed"),)
    assert lanes.note(pool(worker(2), at=100.25, losses=lost)) == [(1, "xi", {})]


def test_a_worker_whose_item_was_cancelled_or_is_tried_again_leaves_another_mark() -> None:
    lanes = Lanes()
    lanes.note(pool(busy(1, item=0), busy(2, item=1), worker(3), at=100.0))
    lost = Loss(1, "cancelled"), Loss(2, "retried")
    assert lanes.note(pool(worker(3), at=100.25, losses=lost)) == [(1, "kri", {})]


def test_a_mark_is_not_drawn_over_the_time_before() -> None:
    lanes = Lanes()
    lanes.note(pool(busy(1, item=0), at=100.0))
    runs = lanes.note(pool(worker(2), at=102.0, losses=(Loss(1, "failed"),)))
    assert runs == [(7, ".", {}), (1, "x", {})]


def test_a_worker_that_left_without_an_item_leaves_none() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), worker(2), at=100.0))
    assert lanes.note(pool(worker(2), at=100.25)) == [(1, ".i", {})]


def test_a_failed_item_leaves_a_mark() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), at=100.0))
    assert lanes.note(pool(worker(1, failed=1), at=100.25)) == [(1, "x", {})]


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
    assert sum(count for count, *_ in lanes.all()) == COLUMNS
    assert len(lanes.workers) == 1


def test_a_long_sleep_is_one_run() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), at=100.0))
    assert lanes.note(pool(worker(1), at=10_000.0)) == [(COLUMNS, "i", {}), (1, "i", {})]
    assert lanes.all() == [(COLUMNS, "i", {0: 1})]


def owners(lanes: Lanes) -> list[int]:
    """Whose the first lane was, from the oldest column to the newest."""
    found = list[int]()
    for count, _, changes in lanes.all():
        found += [changes.get(0, found[-1] if found else 0)] * count
    return found


def test_what_is_in_a_lane_stays_with_the_worker_that_had_it() -> None:
    lanes = Lanes()
    lanes.note(pool(busy(1, item=0), at=100.0))
    lanes.note(pool(busy(1, item=0), at=100.25))
    lost = (Loss(1, "failed"),)
    assert lanes.note(pool(worker(2), at=100.5, losses=lost)) == [(1, "x", {})], (
        "the mark is of the dead one"
    )
    assert lanes.note(pool(worker(2), at=100.75)) == [(1, "i", {0: 2})]
    assert letters(lanes) == "bcxi"
    assert owners(lanes) == [1, 1, 1, 2]


def test_a_successor_of_one_that_left_has_the_lane_at_once() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), at=100.0))
    lanes.note(pool(at=100.25))
    lanes.note(pool(worker(2), at=100.5))
    assert owners(lanes) == [1, 1, 2]


def test_equal_columns_of_two_workers_are_two_runs() -> None:
    lanes = Lanes()
    for number in (1, 2):
        lanes.note(pool(worker(number), at=100.0 + number))
    assert owners(lanes) == [1, 2, 2, 2, 2]


def test_the_owner_is_known_when_the_first_columns_are_gone() -> None:
    lanes = Lanes()
    lanes.note(pool(worker(1), at=100.0))
    lanes.note(pool(worker(2), at=100.25))
    for quarter in range(2 * COLUMNS):
        lanes.note(pool(worker(2), at=100.5 + quarter / 4))
    assert owners(lanes) == [2] * COLUMNS
