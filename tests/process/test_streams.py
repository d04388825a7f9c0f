"""Functions and handlers that yield: `stream`, `parts()`, `astream`."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from processpool import PoolClosed, ProcessPool, RequestTimeout, WorkerDied
from processpool.testing import fake_pool
from processpool.wire.python.layout import PARTS
from tests.process.support import WORKERS, eventually, pids
from tests.process.workers import functions, yielding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Make = "Callable[..., ProcessPool]"


@pytest.fixture(params=["handler", "serve"])
def make(
    request: pytest.FixtureRequest,
    python_pool: Callable[..., ProcessPool],
    make_pool: Callable[..., ProcessPool],
) -> Callable[..., ProcessPool]:
    """Makes pools whose messages are those of `workers/yielding.py`."""

    def make(workers: int = 1, **sections: Any) -> ProcessPool:
        if request.param == "handler":
            worker = {"handler": "yielding:handle", "path": [str(WORKERS)]}
            return python_pool(workers, worker=worker, **sections)
        command = ["python", str(WORKERS / "yielding.py")]
        return make_pool(command, size=workers, **sections)

    return make


def numbers(count: int) -> list[str]:
    return [str(n) for n in range(count)]


class TestReading:
    @pytest.mark.parametrize("count", [0, 1, 5, PARTS, 500])
    def test_all_parts_in_order(self, make: Callable[..., ProcessPool], count: int) -> None:
        pool = make()
        assert list(pool.stream(f"count {count}")) == numbers(count)
        assert pool.call("x") == "X"

    def test_each_part_as_soon_as_it_is_there(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        parts = make().stream(f"note {tmp_path / 'n'}")
        assert [next(parts) for _ in range(3)] == numbers(3)
        parts.close()

    def test_parts_of_a_future(self, make: Callable[..., ProcessPool]) -> None:
        future = make().submit("count 50")
        assert list(future.parts()) == numbers(50)
        assert future.result() == "end"
        assert future.record is not None
        assert future.record.ok

    def test_the_parts_are_there_after_the_end(self, make: Callable[..., ProcessPool]) -> None:
        future = make().submit("count 50")
        assert future.result() == "end"
        assert list(future.parts()) == numbers(50)

    def test_what_yields_nothing_has_no_parts(self, make: Callable[..., ProcessPool]) -> None:
        future = make().submit("x")
        assert list(future.parts()) == []
        assert future.result() == "X"

    def test_several_at_once(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2)
        streams = [pool.stream("count 100") for _ in range(2)]
        assert list(zip(*streams, strict=True)) == [(n, n) for n in numbers(100)]

    def test_one_behind_another(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        futures = [pool.submit(message) for message in ("count 40", "x", "count 3", "y")]
        assert list(futures[0].parts()) == numbers(40)
        assert [future.result() for future in futures] == ["end", "X", "end", "Y"]
        assert list(futures[2].parts()) == numbers(3)

    def test_asyncio(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2)

        async def read(count: int) -> list[str]:
            return [part async for part in pool.astream(f"count {count}")]

        async def main() -> list[list[str]]:
            return list(await asyncio.gather(read(30), read(200), read(0)))

        assert asyncio.run(main()) == [numbers(30), numbers(200), []]


class TestBackPressure:
    def test_the_worker_runs_ahead_by_a_few_parts_only(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        path = tmp_path / "n"
        parts = make().stream(f"note {path}")
        assert next(parts) == "0"
        eventually(lambda: path.read_text() == str(PARTS + 1))
        assert [next(parts) for _ in range(20)] == numbers(21)[1:]
        eventually(lambda: path.read_text() == str(PARTS + 21))
        parts.close()

    def test_large_parts(self, python_pool: Callable[..., ProcessPool], tmp_path: Path) -> None:
        pool, path = python_pool(), tmp_path / "n"

        def large(path: str) -> Iterator[bytes]:
            for n in range(8):
                with open(path, "w") as file:
                    file.write(str(n))
                yield bytes(3 << 20)

        parts = pool.stream(large, str(path))
        assert len(next(parts)) == 3 << 20
        eventually(lambda: path.read_text() == "2")
        assert sum(map(len, parts)) == 7 * (3 << 20)

    def test_one_that_nobody_reads_does_not_keep_the_pool(
        self, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make()
        future = pool.submit("count 200")
        assert pool.drain(30)
        assert future.result() == "end"


class TestLeaving:
    def test_the_generator_is_closed_and_the_worker_lives(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool, path = make(), tmp_path / "n"
        pool.wait_ready()
        before = pids(pool)
        for part in pool.stream(f"note {path}"):
            if part == "3":
                break
        eventually(Path(f"{path}.closed").exists)
        assert pool.call("x") == "X"
        assert pids(pool) == before

    def test_other_items_are_not_affected(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = make()
        first = pool.submit(f"note {tmp_path / 'n'}")
        others = [pool.submit(message) for message in ("x", "count 2")]
        for _ in first.parts():
            break
        assert [other.result() for other in others] == ["X", "end"]

    def test_before_it_has_begun(self, make: Callable[..., ProcessPool], tmp_path: Path) -> None:
        pool = make()
        first = pool.submit(f"note {tmp_path / 'n'}")
        reading = first.parts()
        assert next(reading) == "0"
        second = pool.submit(f"note {tmp_path / 'm'}")
        assert second.cancel()
        with pytest.raises(CancelledError):
            list(second.parts())
        assert next(reading) == "1"
        assert not (tmp_path / "m").exists()

    def test_without_a_word(self, make: Callable[..., ProcessPool], tmp_path: Path) -> None:
        pool, path = make(), tmp_path / "n"
        parts = pool.stream(f"note {path}")
        assert next(parts) == "0"
        del parts
        gc.collect()
        eventually(Path(f"{path}.closed").exists)

    def test_asyncio(self, make: Callable[..., ProcessPool], tmp_path: Path) -> None:
        pool, path = make(), tmp_path / "n"

        async def main() -> None:
            parts = pool.astream(f"note {path}")
            async for part in parts:
                if part == "3":
                    break
            await parts.aclose()
            while not Path(f"{path}.closed").exists():
                await asyncio.sleep(0)
            assert await pool.acall("x") == "X"

        asyncio.run(main())

    def test_closing_the_pool_cuts_it(
        self, make: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = make()
        parts = pool.stream(f"note {tmp_path / 'n'}")
        assert next(parts) == "0"
        pool.close()
        with pytest.raises(PoolClosed):
            list(parts)


class TestFailing:
    def test_an_error_comes_after_the_parts(self, make: Callable[..., ProcessPool]) -> None:
        pool = make()
        parts = pool.stream("fail no more")
        assert [next(parts), next(parts)] == ["0", "1"]
        with pytest.raises(Exception, match="no more") as caught:
            next(parts)
        assert caught.value.record.error is caught.value  # type: ignore[attr-defined]
        assert pool.call("x") == "X"

    def test_so_does_the_death_of_the_worker(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(restart={"backoff": ["1ms", "1ms"]}, retry={"attempts": 3})
        parts = pool.stream("die ")
        assert [next(parts), next(parts)] == ["0", "1"]
        with pytest.raises(WorkerDied):  # it is not begun anew
            next(parts)
        assert pool.submit("x").result(30) == "X"

    def test_the_time_limit_is_that_of_a_part(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(timeouts={"request": "1s"})
        assert list(pool.stream("slowly 0.5")) == numbers(4)
        with pytest.raises(RequestTimeout):
            list(pool.stream("slowly 60"))

    def test_waiting_for_the_reader_takes_no_time_of_it(
        self, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make(timeouts={"request": "500ms"})
        parts = pool.stream("count 100")
        assert next(parts) == "0"
        time.sleep(1)  # the reader is slow
        assert list(parts) == numbers(100)[1:]

    def test_a_part_that_cannot_be_pickled(self, python_pool: Callable[..., ProcessPool]) -> None:
        def yields_a_lock() -> Iterator[Any]:
            yield 1
            yield threading.Lock()

        parts = python_pool().stream(yields_a_lock)
        assert next(parts) == 1
        with pytest.raises(TypeError) as caught:
            next(parts)
        assert any("part, of type lock" in note for note in caught.value.__notes__)


class TestElsewhere:
    def test_functions(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        assert list(pool.stream(yielding.count, 3)) == numbers(3)
        assert list(pool.options(priority=1).stream(yielding.count, 3)) == numbers(3)
        assert pool.submit(functions.inc, 1).result() == 2

    def test_as_one_answer_under_serve(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(["python", str(WORKERS / "yielding.py")])
        assert pool.call("printing x") == "[0]x[1]x[2]x"
        assert pool.map(["count 3", "a"]) == ["012", "A"]
        assert list(pool.stream("printing x")) == ["[0]x", "[1]x", "[2]x"]

    def test_a_fake_pool(self, tmp_path: Path) -> None:
        path = tmp_path / "n"
        with fake_pool() as pool:
            assert list(pool.stream(yielding.count, 3)) == numbers(3)
            parts = pool.stream(yielding.note, str(path))
            assert [next(parts), next(parts)] == ["0", "1"]
            parts.close()
            assert Path(f"{path}.closed").exists()
            with pytest.raises(ValueError, match="no more"):
                list(pool.stream(yielding.fail, "no more"))
