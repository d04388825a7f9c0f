"""What held a map up: five that were made to have one reason, and cases in between."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool
from processpool.core.run_record import RunRecord
from processpool.report.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def slowly(count: int) -> Iterator[float]:
    for _ in range(count):
        time.sleep(0.02)
        yield 0.001


def slow_input(pool: ProcessPool) -> None:
    pool.map(nap, slowly(40))


def heavy_pickling(pool: ProcessPool) -> None:
    pool.map(len, [list(range(at, at + 200_000)) for at in range(20)])


def heavy_results(pool: ProcessPool) -> None:
    pool.map(lambda size: list(range(size)), [400_000] * 20)


def slow_workers(pool: ProcessPool) -> None:
    pool.map(nap, [0.02] * 80)


def slow_consumer(pool: ProcessPool) -> None:
    for _ in pool.imap(nap, [0.001] * 60):
        time.sleep(0.02)


def one_long_tail(pool: ProcessPool) -> None:
    pool.map(nap, [0.01] * 60 + [1.5])


def long_item_in_the_middle(pool: ProcessPool) -> None:
    pool.map(nap, [0.01] * 20 + [1.5] + [0.01] * 20)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    config: dict[str, Any] = {"worker": {"kind": "python"}, "size": {"min": 2, "max": 2}}
    with ProcessPool.from_dict(config) as pool:
        pool.wait_ready(30)
        pool.map(nap, [0.01] * 4)
        yield pool


@pytest.mark.parametrize(
    ("workload", "reason"),
    [
        (slow_input, "input"),
        (heavy_pickling, "pickling"),
        (heavy_results, "pickling"),
        (slow_workers, "worker"),
        (slow_consumer, "consumer"),
        (one_long_tail, "tail"),
        (long_item_in_the_middle, "tail"),
    ],
)
def test_of_a_map_made_to_have_one(
    pool: ProcessPool, workload: Callable[[ProcessPool], None], reason: str
) -> None:
    workload(pool)
    report = pool.report()
    assert report.verdict == reason, repr(report)


def record(slots: int = 2, length: float = 10.0) -> RunRecord:
    made = RunRecord(1, "f", 0.0, slots=slots)
    made.ended = length
    return made


def test_one_item_for_each_worker_has_no_tail() -> None:
    made = record()
    made.note(0, 1, 0, 1, 0.0, 10.0)
    made.note(1, 2, 1, 1, 0.0, 5.0)
    made.phases.waiting = 10.0
    assert judge(made, made.totals()).kind == "worker"


def test_a_slow_loop_behind_a_map_of_all_at_once_is_not_its_consumer() -> None:
    made = record()
    for number in range(100):
        made.note(number % 2, 1 + number % 2, number, 1, number * 0.1, number * 0.1 + 0.01)
    assert judge(made, made.totals()).kind != "consumer"
    made.is_lazy = True
    assert judge(made, made.totals()).kind == "consumer"


def test_short_items_are_said_to_be_short() -> None:
    made = record(slots=1)
    for number in range(100):
        made.note(0, 1, number, 100_000, number * 0.1, number * 0.1 + 0.1)
    made.phases.waiting = 9.0
    verdict = judge(made, made.totals())
    assert verdict.kind == "worker"
    assert "so short" in verdict.advice


def test_of_nothing() -> None:
    made = record()
    assert judge(made, made.totals()).kind == "nothing"
