from __future__ import annotations

from processpool.widget.rows import MAX_ROWS, choose
from tests.widget.snapshots import busy, worker


def test_few_workers_are_shown_in_the_order_of_their_numbers() -> None:
    workers = [busy(3, item=1, age=9), worker(1), busy(2, item=2, age=3)]
    assert [row.id for row in choose(workers, (), ())] == [1, 2, 3]


def test_failed_workers_come_first_and_then_late_ones_the_oldest_in_front() -> None:
    workers = [
        worker(1),
        busy(2, item=1, age=20),
        busy(3, item=2, age=30),
        busy(4, item=3, failed=1),
    ]
    assert [row.id for row in choose(workers, (2, 3), ())] == [4, 3, 2, 1]


def test_of_many_the_failed_and_longest_running_have_a_row() -> None:
    workers = [busy(number, item=number) for number in range(1, 501)]
    workers[449] = busy(450, item=450, failed=2)
    workers[479] = busy(480, item=480, age=100)
    workers[489] = busy(490, item=490, age=5)
    chosen = [row.id for row in choose(workers, (480,), ())]
    assert len(chosen) == MAX_ROWS
    assert chosen[:2] == [450, 480]
    assert 490 in chosen


def test_a_row_stays_if_all_else_is_equal() -> None:
    workers = [busy(number, item=number) for number in range(1, 501)]
    shown = range(300, 300 + MAX_ROWS)
    assert [row.id for row in choose(workers, (), shown)] == list(shown)


def test_what_runs_as_long_as_is_usual_takes_no_row_from_another() -> None:
    workers = [busy(number, item=number, age=number / 200) for number in range(1, 501)]
    shown = range(1, 1 + MAX_ROWS)
    assert [row.id for row in choose(workers, (), shown, long=4.0)] == list(shown)
