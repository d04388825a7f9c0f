"""Pools under asyncio, and what takes executors: event loops and Dask."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from processpool import CodecError, ProcessPool, QueueFull
from tests.process.support import await_exit, eventually, pids
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.process.support import Gate

PATIENCE = 30.0


async def source(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


async def arrival(gate: Gate) -> None:
    await asyncio.to_thread(gate.await_arrival)


class TestCall:
    def test_answers_and_errors(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)

        async def main() -> None:
            assert await pool.acall(functions.add, 1, y=2) == 3
            calls = [pool.acall(functions.inc, n) for n in range(100)]
            assert await asyncio.gather(*calls) == list(range(1, 101))
            with pytest.raises(ValueError, match="no"):
                await pool.acall(functions.fail, "no")
            with pytest.raises(TypeError, match=r"pool.acall\(function"):
                await pool.acall()

        asyncio.run(main())

    def test_a_command(self, make_pool: Callable[..., ProcessPool]) -> None:
        assert asyncio.run(make_pool().acall("answer('hi')")) == "hi"

    def test_cancelling_the_task_ends_what_runs(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(1)
        worker = pids(pool)[0]

        async def main() -> None:
            task = asyncio.create_task(pool.acall(functions.wait_at, str(gate.path)))
            await arrival(gate)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await pool.acall(functions.inc, 1) == 2

        asyncio.run(main())
        await_exit(worker)

    def test_a_timeout_cancels_what_waits(
        self, python_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
    ) -> None:
        pool = python_pool(1)

        async def main() -> None:
            first = asyncio.create_task(pool.acall(functions.wait_at, str(gate.path)))
            await arrival(gate)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pool.acall(functions.note, str(tmp_path / "ran"), 1), 0.05)
            gate.open()
            assert await first == "passed"
            assert await pool.acall(functions.inc, 1) == 2

        asyncio.run(main())
        assert not (tmp_path / "ran").exists()

    def test_a_full_queue_blocks_no_loop(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(1, queue={"max_pending": 1})

        async def main() -> None:
            first = asyncio.create_task(pool.acall(functions.wait_at, str(gate.path)))
            await arrival(gate)
            tasks = [asyncio.create_task(pool.acall(functions.inc, n)) for n in range(50)]
            await asyncio.sleep(0)  # all have tried
            tasks[20].cancel()
            await asyncio.to_thread(gate.open)
            results = await asyncio.gather(first, *tasks, return_exceptions=True)
            assert isinstance(results.pop(21), asyncio.CancelledError)
            assert results == ["passed", *(n + 1 for n in range(50) if n != 20)]

        asyncio.run(asyncio.wait_for(main(), PATIENCE))

    def test_a_full_queue_may_be_an_error(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(1, queue={"max_pending": 1, "when_full": "raise"})

        async def main() -> None:
            first = asyncio.create_task(pool.acall(functions.wait_at, str(gate.path)))
            await arrival(gate)
            tasks = [asyncio.create_task(pool.acall(functions.inc, n)) for n in range(50)]
            with pytest.raises(QueueFull):
                await asyncio.gather(*tasks)
            await asyncio.to_thread(gate.open)
            assert await first == "passed"
            await asyncio.wait(tasks)

        asyncio.run(main())

    def test_closing_the_pool_wakes_who_waits_for_room(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(1, queue={"max_pending": 1})

        async def main() -> list[Any]:
            tasks = [asyncio.create_task(pool.acall(functions.wait_at, str(gate.path)))]
            await arrival(gate)
            tasks += [asyncio.create_task(pool.acall(functions.inc, n)) for n in range(20)]  # type: ignore[call-overload]
            await asyncio.sleep(0)
            await asyncio.to_thread(pool.kill)
            return await asyncio.gather(*tasks, return_exceptions=True)

        assert all(isinstance(result, Exception) for result in asyncio.run(main()))


class TestMap:
    def test_answers_in_order(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)

        async def main() -> None:
            answers = [x async for x in pool.aimap(functions.inc, range(20_000))]
            assert answers == list(range(1, 20_001))
            assert [x async for x in pool.aimap(functions.add, [1, 2], [10, 20])] == [11, 22]
            assert [x async for x in pool.aimap(functions.inc, [])] == []

        asyncio.run(main())

    def test_asynchronous_input(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)

        async def main() -> None:
            assert [x async for x in pool.aimap(functions.inc, source(1, 2, 3))] == [2, 3, 4]
            both = pool.aimap(functions.add, source(1, 2, 3), [10, 20])
            assert [x async for x in both] == [11, 22]

        asyncio.run(main())

    def test_commands_and_their_refusals(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()

        async def main() -> list[Any]:
            items = ["answer('1')", 5, "answer('2')"]
            return [x async for x in pool.aimap(items, on_error="return")]

        first, refused, second = asyncio.run(main())
        assert (first, second) == ("1", "2")
        assert isinstance(refused, CodecError)

    def test_errors(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)

        async def main() -> None:
            answers = pool.aimap(divmod, [1, 1, 1], [1, 0, 1])
            assert await anext(answers) == (1, 0)
            with pytest.raises(ZeroDivisionError):
                await anext(answers)
            skipped = pool.aimap(divmod, [1, 1, 1], [1, 0, 1], on_error="skip")
            assert [x async for x in skipped] == [(1, 0), (1, 0)]
            records = pool.aimap(divmod, [1, 1], [1, 0], on_error="return", details=True)
            assert [(r.index, r.ok) async for r in records] == [(0, True), (1, False)]

        asyncio.run(main())

    def test_an_error_of_the_input_comes_in_its_place(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(1)

        def bad() -> Iterator[int]:
            yield 1
            raise LookupError("no more")

        async def main() -> None:
            answers = pool.aimap(functions.inc, bad())
            assert await anext(answers) == 2
            with pytest.raises(LookupError):
                await anext(answers)

        asyncio.run(main())

    def test_every_item_before_an_error_of_the_input_has_its_answer(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(1)
        answers: list[int] = []

        def bad(size: int) -> Iterator[int]:
            yield from range(size)
            raise LookupError("no more")

        async def collect(size: int) -> None:
            async for answer in pool.aimap(functions.inc, bad(size)):
                answers.append(answer)

        for size in range(70):
            answers.clear()
            with pytest.raises(LookupError, match="no more"):
                asyncio.run(collect(size))
            assert answers == list(range(1, size + 1))

    def test_endless_input_is_read_only_as_far_as_allowed(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(1)
        read: list[int] = []

        def endless() -> Iterator[int]:
            for n in count():
                read.append(n)
                yield n

        async def main() -> None:
            async for answer in pool.aimap(functions.inc, endless(), buffersize=4):
                assert len(read) <= answer + 5
                if answer == 100:
                    break
            await asyncio.sleep(0)

        asyncio.run(main())
        assert pool.drain(PATIENCE)
        assert len(read) <= 106

    def test_cancelling_the_task_ends_what_runs(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(1)
        worker = pids(pool)[0]

        async def consume() -> None:
            async for _ in pool.aimap(functions.wait_at, [str(gate.path)] * 10):
                pass

        async def main() -> None:
            task = asyncio.create_task(consume())
            await arrival(gate)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        await_exit(worker)
        eventually(lambda: pool.drain(0))


class TestWhatTakesExecutors:
    def test_run_in_executor(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1)

        async def main() -> int:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(pool.executor(), functions.inc, 1)

        assert asyncio.run(main()) == 2

    def test_dask(self, python_pool: Callable[..., ProcessPool]) -> None:
        dask = pytest.importorskip("dask")
        parts = [dask.delayed(functions.inc)(n) for n in range(10)]
        total = dask.delayed(sum)(parts)
        assert dask.compute(total, scheduler=python_pool(2).executor()) == (55,)
