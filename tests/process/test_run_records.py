"""Every map is recorded, whatever kind of pool and map it is."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool.core.run_record import RunRecord

CAT = {"worker": {"kind": "command", "command": ["cat"], "protocol": "lines"}, "size": {"max": 2}}


def odd(number: int) -> int:
    if not number % 10:
        raise ValueError(f"{number} is even")
    return number


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.fixture
def functions(python_pool: Callable[..., ProcessPool]) -> ProcessPool:
    pool = python_pool(2)
    pool.wait_ready(30)
    return pool


@pytest.fixture
def programs() -> Iterator[ProcessPool]:
    with ProcessPool.from_dict(CAT) as pool:
        yield pool


def last(pool: ProcessPool) -> RunRecord:
    return pool.records()[-1]


def counted(record: RunRecord) -> tuple[int, int, int | None]:
    assert record.totals().items == record.done
    assert sum(one.items for one in record.stretches()) == record.done
    return record.done, record.failed, record.total


def test_what_a_worker_had_answered_before_it_died_is_recorded() -> None:
    answers = "while read x; do if [ $x = die ]; then exit 3; fi; echo $x; done"
    worker = {"kind": "command", "command": ["sh", "-c", answers], "protocol": "lines"}
    items = ["die" if number % 50 == 49 else str(number) for number in range(1000)]
    with ProcessPool.from_dict({"worker": worker, "size": {"min": 20, "max": 20}}) as pool:
        pool.map(items, on_error="return")
        assert counted(last(pool)) == (1000, 20, 1000)


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("items", [3, 500])
def test_a_map_over_a_program(programs: ProcessPool, items: int, details: bool) -> None:
    programs.map(["x"] * items, details=details)  # type: ignore[call-overload]
    record = last(programs)
    assert record.name == "cat"
    assert counted(record) == (items, 0, items)


def test_what_slow_items_were_is_known(functions: ProcessPool) -> None:
    messages = [f"0.0{number}" for number in range(1, 6)]
    script = "while read line; do sleep $line; echo $line; done"
    worker = {"kind": "command", "command": ["sh", "-c", script], "protocol": "lines"}
    with ProcessPool.from_dict({"worker": worker, "size": {"max": 2}}) as pool:
        pool.map(messages)
        assert last(pool).named() == dict(enumerate(messages))
    functions.map(nap, [0.01, 0.02, 0.03])
    assert last(functions).named() == {0: 0.01, 1: 0.02, 2: 0.03}


@pytest.mark.parametrize("details", [False, True])
def test_a_map_of_a_function_with_failures(functions: ProcessPool, details: bool) -> None:
    functions.map(odd, range(1000), on_error="return", details=details)  # type: ignore[call-overload]
    record = last(functions)
    assert counted(record) == (1000, 100, 1000)
    (group,) = record.errors.largest_first()
    assert (group.count, group.error) == (100, "ValueError: N is even")
    assert group.example.record.args == (group.index,)


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_a_lazy_map(functions: ProcessPool, method: str) -> None:
    list(getattr(functions, method)(odd, range(1, 10)))
    assert counted(last(functions)) == (9, 0, 9)
    assert last(functions).is_lazy


def test_an_asynchronous_map() -> None:
    async def run(pool: ProcessPool) -> list[Any]:
        return [answer async for answer in pool.aimap(["a", "b", "c"])]

    with ProcessPool.from_dict(CAT) as pool:
        assert asyncio.run(run(pool)) == ["a", "b", "c"]
        assert counted(last(pool)) == (3, 0, 3)


def test_the_map_of_an_executor(functions: ProcessPool) -> None:
    with functions.executor() as executor:
        list(executor.map(odd, range(1, 10)))
    assert counted(last(functions)) == (9, 0, 9)


def test_a_map_that_was_left_says_so(functions: ProcessPool) -> None:
    for _ in functions.imap(odd, range(1, 10_000_000, 2)):
        break
    assert last(functions).why == "its consumer took no more answers"
    with pytest.raises(ValueError, match="even"):
        functions.map(odd, [1, 2, 10])
    assert last(functions).why == "ValueError: 10 is even"


def test_times_are_those_of_the_items(functions: ProcessPool) -> None:
    functions.map(nap, [0.05] * 6)
    totals = last(functions).totals()
    assert totals.runs.percentile(50) == pytest.approx(0.05, rel=0.5)
    assert set(totals.busy.rows) == {0, 1}


def test_where_the_time_went(functions: ProcessPool) -> None:
    def slow() -> Iterator[float]:
        for _ in range(10):
            time.sleep(0.02)
            yield 0.0

    functions.map(nap, slow())
    phases = last(functions).phases
    assert phases.reading > 0.2
    functions.map(nap, [0.2, 0.2])
    phases = last(functions).phases
    assert phases.waiting > 0.15
    assert phases.reading < 0.1


def test_the_last_few_maps_are_kept_and_those_that_run(functions: ProcessPool) -> None:
    for number in range(5):
        functions.map(odd, [1] * (number + 1))
    run = functions.imap(odd, [1, 2, 3])
    next(run)
    counts = [record.total for record in functions.records()]
    assert counts == [3, 4, 5, 3]
    run.close()
