"""Maps, requests and their errors on a cluster: as on one machine, exact and in order."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import as_completed
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from processpool import NotOnCluster, ProcessPool, RequestTimeout, WorkerDied
from tests.process.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def double(number: int) -> int:
    return 2 * number


def picky(number: int) -> int:
    if number % 100 == 7:
        raise ValueError(f"not {number}")
    return number


def crash(number: int) -> int:
    if number == 50:
        os.kill(os.getpid(), 9)
    return number


def doze(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def count_up(number: int) -> Iterator[int]:
    yield from range(number)


class TestMaps:
    def test_they_are_exact_and_in_order(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        expected = [*map(double, range(30_000))]
        assert pool.map(double, range(30_000)) == expected
        assert list(pool.imap(double, range(30_000))) == expected
        assert sorted(pool.imap_unordered(double, range(30_000))) == expected

    def test_functions_and_classes_of_a_notebook(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        class Point:
            def __init__(self, x: int) -> None:
                self.x = x

        offset = 3
        pool = make_pool()
        points = pool.map(lambda point: Point(point.x + offset), [*map(Point, range(200))])
        assert [point.x for point in points] == list(range(3, 203))

    def test_a_large_function_travels_when_a_node_asks_for_it(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        table = os.urandom(200_000)
        pool = make_pool()
        assert pool.map(lambda at: table[at], range(500)) == list(table[:500])

    def test_arrays(self, make_pool: Callable[..., ProcessPool]) -> None:
        arrays = [np.full(200_000, number, dtype="f8") for number in range(12)]
        got = make_pool().map(lambda array: array + 1, arrays)
        assert all((one == array + 1).all() for one, array in zip(got, arrays, strict=True))
        got[0][0] = 5  # they are the caller's own

    def test_every_error_is_its_items(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        outcomes = pool.map(picky, range(1000), details=True, on_error="return")
        failed = [outcome.index for outcome in outcomes if not outcome.ok]
        assert failed == list(range(7, 1000, 100))
        error = outcomes[107].error
        assert error is not None
        assert str(error) == "not 107"
        assert "item 107" in error.__notes__[0]
        assert "It ran on node tcp://" in str(error.__cause__)
        worker = outcomes[107].worker_id
        eventually(lambda: worker in {known.id for known in pool.snapshot().workers})

    def test_a_crash_costs_one_item(self, make_pool: Callable[..., ProcessPool]) -> None:
        got = make_pool().map(crash, range(400), on_error="return")
        assert isinstance(got[50], WorkerDied)
        assert any("It ran on node" in note for note in got[50].__notes__)
        assert [each for each in got if isinstance(each, int)] == [
            number for number in range(400) if number != 50
        ]

    def test_timeouts(self, make_pool: Callable[..., ProcessPool]) -> None:
        got = make_pool().map(doze, [0.0, 30.0, 0.01], timeout=2, on_error="return")
        assert (got[0], got[2]) == (0.0, 0.01)
        assert isinstance(got[1], RequestTimeout)

    def test_retries(self, make_pool: Callable[..., ProcessPool], tmp_path: Path) -> None:
        def second_time(name: str) -> str:
            path = tmp_path / name
            if not path.exists():
                path.touch()
                raise ValueError("the first time")
            return name

        pool = make_pool(retry={"attempts": 2, "on": ["error"]})
        outcomes = pool.map(second_time, ["a", "b"], details=True)
        assert [(one.value, one.attempts) for one in outcomes] == [
            ("a", 2),
            ("b", 2),
        ]

    def test_printing(self, make_pool: Callable[..., ProcessPool]) -> None:
        def loud(number: int) -> int:
            print("number", number)
            return number

        outcomes = make_pool().map(loud, range(3), details=True)
        assert [one.stdout for one in outcomes] == [f"number {n}\n" for n in range(3)]

    def test_slow_items_are_spread_over_all_nodes(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        outcomes = make_pool().map(doze, [0.2] * 8, details=True)
        shares = [one.worker_id for one in outcomes]
        assert sorted(shares.count(worker) for worker in set(shares)) >= [3, 3]


class TestOtherWays:
    def test_many_requests(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        futures = {pool.submit(double, number): number for number in range(50)}
        for future in as_completed(futures, timeout=30):
            assert future.result() == 2 * futures[future]  # type: ignore[index]

    def test_call(self, make_pool: Callable[..., ProcessPool]) -> None:
        assert make_pool().call(double, 4) == 8

    def test_asyncio(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()

        async def ask() -> list[Any]:
            first = await pool.acall(double, 1)
            return [first, *[value async for value in pool.aimap(double, range(2, 500))]]

        assert asyncio.run(ask()) == [*map(double, range(1, 500))]

    def test_an_executor(self, make_pool: Callable[..., ProcessPool]) -> None:
        with make_pool().executor() as executor:
            assert list(executor.map(double, range(300))) == [*map(double, range(300))]

    def test_outcomes_are_done_again(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        def unless_there(name: str) -> str:
            path = tmp_path / name
            if path.exists():
                return name
            path.touch()
            raise ValueError(name)

        pool = make_pool()
        outcomes = pool.map(unless_there, ["a", "b"], details=True, on_error="return")
        assert len(outcomes.failed) == 2
        assert [one.value for one in outcomes.retry()] == ["a", "b"]

    def test_a_journal(self, make_pool: Callable[..., ProcessPool], tmp_path: Path) -> None:
        pool, path = make_pool(), tmp_path / "answers"
        ran = tmp_path / "ran"
        ran.touch()

        def note(number: int) -> int:
            with ran.open("a") as file:
                file.write(f"{number}\n")
            return 2 * number

        assert pool.map(note, range(100), journal=path) == [*map(double, range(100))]
        assert pool.map(note, range(120), journal=path) == [*map(double, range(120))]
        assert sorted(map(int, ran.read_text().split())) == list(range(120))


class TestWhatCannotWork:
    def test_a_lease(self, make_pool: Callable[..., ProcessPool]) -> None:
        with pytest.raises(NotOnCluster, match="cannot be leased"):
            make_pool().lease()

    def test_streams(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        with pytest.raises(NotOnCluster, match="return a list"):
            list(pool.stream(count_up, 3))
        for number in (3, 10**12):
            with pytest.raises(NotOnCluster, match="return a list"):
                pool.submit(count_up, number).result(20)
            with pytest.raises(NotOnCluster, match="return a list"):
                list(pool.submit(count_up, number).parts())
        assert pool.call(double, 4) == 8

    def test_shared_memory(self, make_pool: Callable[..., ProcessPool]) -> None:
        with pytest.raises(NotOnCluster, match=r"worker\.setup"):
            make_pool().share(b"x")


class TestLeavingNothing:
    def test_on_the_scheduler_and_the_nodes(
        self, make_pool: Callable[..., ProcessPool], cluster: Any
    ) -> None:
        import distributed

        make: Any = distributed.Client
        with make(cluster.scheduler_address, set_as_default=False) as client:
            before = _topics(client)
            pool = make_pool()
            pool.map(double, range(1000))
            workers = [worker.pid for worker in pool.snapshot().workers]
            assert _topics(client) > before
            pool.close()
            assert _plugins(client) == []
            assert _topics(client) <= before
        eventually(lambda: not cluster.scheduler.tasks)
        assert not any(map(psutil.pid_exists, filter(None, workers)))


class TestClient:
    def test_a_client_is_enough(self, cluster: Any, tmp_path: Path) -> None:
        import distributed

        path = tmp_path / "pool.yaml"
        path.write_text("worker: {kind: python}\n")
        make: Any = distributed.Client
        with make(cluster.scheduler_address) as client:
            with ProcessPool.from_yaml(path, client=client) as pool:
                assert pool.map(double, range(100)) == [*map(double, range(100))]
            assert client.submit(double, 4).result() == 8
            eventually(lambda: not _plugins(client))


def _topics(client: Any) -> set[str]:
    return {name for name in client.get_events() if name.startswith("pp-")}


def _plugins(client: Any) -> list[str]:
    found = client.run(lambda dask_worker: list(dask_worker.plugins))
    return [name for names in found.values() for name in names if name.startswith("pp-")]
