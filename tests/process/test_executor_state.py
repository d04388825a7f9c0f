"""A callable that an item changes: the next item has it as it was submitted."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from processpool import PoolExecutor, ProcessPoolExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool import ProcessPool


class Collector:
    """Keeps what it is given."""

    made = 0

    def __init__(self, *values: Any) -> None:
        self.values = list(values)

    def __call__(self, value: Any) -> int:
        self.values.append(value)
        return len(self.values)

    def add(self, value: Any) -> int:
        Collector.made += 1
        return self(value)

    def fail(self, value: Any) -> None:
        raise ValueError(value)

    def same_class(self, value: Any) -> tuple[bool, int]:
        Collector.made += 1
        return type(self) is Collector, Collector.made


def append(values: list[Any], value: Any, *, also: list[Any] | None = None) -> int:
    values.append(value)
    if also is not None:
        also.append(value)
    return len(values) + len(also or ())


def fill(values: np.ndarray, value: float) -> float:
    values += value
    return float(values.sum())


def total(values: Any, value: float) -> tuple[float, bool]:
    return float(values.sum()) + value, values.flags.writeable


def by_value() -> dict[str, Any]:
    """The same things as if they were of a script."""
    names: dict[str, Any] = {"__name__": "__main__"}
    source = (
        "class Collector:\n"
        "    made = 0\n"
        "    def __init__(self): self.values = []\n"
        "    def add(self, value):\n"
        "        self.values.append(value)\n"
        "        Collector.made += 1\n"
        "        return len(self.values), Collector.made\n"
        "calls = 0\n"
        "def append(values, value):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    values.append(value)\n"
        "    return len(values), calls\n"
    )
    exec(source, names)
    return names


@pytest.fixture(params=["own pool", "open pool"])
def executor(
    request: pytest.FixtureRequest, python_pool: Callable[..., ProcessPool]
) -> Iterator[PoolExecutor]:
    """An executor with one worker, of either kind."""
    if request.param == "open pool":
        executor = python_pool(1).executor()
        assert isinstance(executor, PoolExecutor)
        yield executor
        return
    own = ProcessPoolExecutor(1)
    yield own
    own.kill_workers()


class TestState:
    @pytest.mark.parametrize(
        ("function", "result"),
        [
            (Collector().add, 1),
            (Collector(), 1),
            (partial(append, []), 1),
            (partial(append, [], also=[0]), 3),
            (partial(Collector(1).add), 2),
            ([].append, None),
        ],
        ids=["method", "instance", "partial", "keywords", "partial of a method", "method in C"],
    )
    def test_is_as_it_was_submitted(
        self, executor: PoolExecutor, function: Callable[..., Any], result: int | None
    ) -> None:
        assert list(executor.map(function, range(5))) == [result] * 5
        assert [executor.submit(function, n).result() for n in range(3)] == [result] * 3

    def test_a_change_here_counts(self, executor: PoolExecutor) -> None:
        collector = Collector()
        assert executor.submit(collector.add, 0).result() == 1
        collector.add(0)
        assert executor.submit(collector.add, 0).result() == 2

    def test_random_numbers(self, executor: PoolExecutor) -> None:
        numbers = random.Random(0)
        assert len({executor.submit(numbers.random).result() for _ in range(3)}) == 1
        numbers.random()
        assert executor.submit(numbers.random).result() == numbers.random()

    def test_by_value(self, executor: PoolExecutor) -> None:
        names = by_value()
        collector, append = names["Collector"](), names["append"]
        expected = [(1, n) for n in range(1, 5)]
        assert list(executor.map(collector.add, range(4))) == expected
        assert list(executor.map(partial(append, []), range(4))) == expected

    def test_classes_are_one_as_ever(self, executor: PoolExecutor) -> None:
        found = list(executor.map(Collector().same_class, range(3)))
        first = found[0][1]
        assert found == [(True, first + n) for n in range(3)]

    def test_arrays(self, executor: PoolExecutor) -> None:
        assert list(executor.map(partial(fill, np.zeros(10)), [1, 1, 1])) == [10.0] * 3

    def test_errors_show_the_items_code_first(self, executor: PoolExecutor) -> None:
        error = executor.submit(Collector().fail, 1).exception()
        assert type(error) is ValueError
        text = str(error.__cause__)
        assert ", in fail" in text
        assert "fresh_copy" not in text


class TestLarge:
    def test_is_kept_from_item_to_item(self, executor: PoolExecutor) -> None:
        """As it would take too long to be copied."""
        large = Collector(bytes(1_000_000))
        assert list(executor.map(large.add, range(3))) == [2, 3, 4]
        filled = partial(fill, np.zeros(100_000))
        assert list(executor.map(filled, [1, 1])) == [100_000.0, 200_000.0]

    def test_what_is_shared_is_not_copied(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)
        with pool.share(np.ones(1_000_000)) as shared:
            found = list(pool.executor().map(partial(total, shared), range(3)))
        assert found == [(1e6 + n, False) for n in range(3)]


class TestPools:
    def test_keep_what_they_were_given(self, python_pool: Callable[..., ProcessPool]) -> None:
        """A pool's own methods send a function once, and it is the worker's from then on."""
        assert python_pool(1).map(Collector().add, range(3)) == [1, 2, 3]
