"""Pools that are declared in the call that makes them, and `async with`."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from processpool import ConfigError, PoolClosed, ProcessPool, WorkerStartFailed
from processpool.config import pool_from_dict
from tests.process.support import Gate, eventually, pids

if TYPE_CHECKING:
    from pathlib import Path


def square(number: int) -> int:
    return number * number


def read_variable(name: str) -> str | None:
    return os.environ.get(name)


def set_variable() -> None:
    os.environ["SET_UP"] = "yes"


def wait_at(path: str) -> None:
    with open(path, "rb") as gate:
        gate.read()


class TestKeywords:
    def test_functions(self) -> None:
        with ProcessPool(max_workers=2) as pool:
            assert pool.map(square, range(4)) == [0, 1, 4, 9]
            assert pool.snapshot().max == 2

    def test_a_program(self) -> None:
        with ProcessPool(command=["sed", "-u", "s/a/b/"], protocol="lines") as pool:
            assert pool.map(["a", "ca"]) == ["b", "cb"]

    def test_a_function_as_setup(self) -> None:
        with ProcessPool(setup=set_variable, max_workers=1) as pool:
            assert pool.call(read_variable, "SET_UP") == "yes"

    def test_the_name_of_a_function_as_setup(self) -> None:
        with ProcessPool(setup=f"{__name__}:set_variable", path=[os.getcwd()]) as pool:
            assert pool.call(read_variable, "SET_UP") == "yes"

    def test_wrong_ones(self) -> None:
        with pytest.raises(ConfigError, match="did you mean max_workers"):
            ProcessPool(max_worker=2)  # type: ignore[call-arg]

    def test_a_declaration_and_keywords(self) -> None:
        config = pool_from_dict({"worker": {"kind": "python"}})
        with pytest.raises(TypeError, match="not from both"):
            ProcessPool(config, max_workers=2)

    def test_a_number(self) -> None:
        with pytest.raises(TypeError, match="max_workers=4"):
            ProcessPool(4)  # type: ignore[arg-type]


class TestAsyncWith:
    def test_opens_and_closes(self) -> None:
        async def main() -> tuple[int, ProcessPool]:
            async with ProcessPool(max_workers=1) as pool:
                return await pool.acall(square, 3), pool

        answer, pool = asyncio.run(main())
        assert answer == 9
        with pytest.raises(PoolClosed):
            pool.call(square, 3)

    def test_finishes_what_was_submitted(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path)

        async def main() -> bool:
            async with ProcessPool(max_workers=1) as pool:
                future = pool.submit(wait_at, str(gate.path))
                await asyncio.to_thread(gate.await_arrival)
                asyncio.get_running_loop().call_later(0.01, gate.open)
            return future.done() and future.exception() is None

        assert asyncio.run(main())

    def test_an_error_ends_it_at_once(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path)
        futures = []

        async def main() -> None:
            async with ProcessPool(max_workers=1) as pool:
                futures.append(pool.submit(wait_at, str(gate.path)))
                await asyncio.to_thread(gate.await_arrival)
                raise LookupError

        with pytest.raises(LookupError):
            asyncio.run(main())
        assert isinstance(futures[0].exception(), PoolClosed)
        gate.close()

    def test_a_failed_start_is_raised(self) -> None:
        async def main() -> None:
            async with ProcessPool(command=["no-such-program"]):
                pass

        with pytest.raises(WorkerStartFailed):
            asyncio.run(main())

    def test_a_cancelled_start_leaves_nothing(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path)
        program = f"read x < {gate.path}; echo $$ > {tmp_path / 'pid'}; exec cat"

        async def main() -> ProcessPool:
            pool = ProcessPool(command=["sh", "-c", program], protocol="lines")
            task = asyncio.ensure_future(pool.__aenter__())
            await asyncio.to_thread(gate.await_arrival)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(gate.open)
            return pool

        pool = asyncio.run(main())
        eventually(lambda: pool.state == "closed")
        assert not pids(pool)
