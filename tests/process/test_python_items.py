"""Items of Python workers: taken back before they begin, each with its time, or a pool."""

from __future__ import annotations

import functools
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, RequestTimeout
from tests.process.support import await_exit, core_of, eventually, is_gone
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.process.support import Gate


class TestTakingBack:
    def test_no_worker_is_idle_while_another_has_more_than_it_works_on(
        self, python_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = python_pool(2)
        pool.wait_ready()
        first = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        futures = [pool.submit(functions.inc, n) for n in range(50)]
        assert [future.result(10) for future in futures] == list(range(1, 51))
        assert not first.done()
        gate.open()
        assert first.result() == "passed"

    def test_in_a_map(self, python_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = python_pool(2)
        pool.wait_ready()

        def uneven(n: int) -> int:
            if n == 5:
                functions.wait_at(str(gate.path))
            return n

        done: set[int] = set()
        answers: Iterator[int] = pool.imap_unordered(uneven, range(60), buffersize=60)
        for answer in answers:
            done.add(answer)
            if len(done) == 59:
                break
        assert done == set(range(60)) - {5}
        gate.open()
        assert list(answers) == [5]

    def test_many_functions(self, python_pool: Callable[..., ProcessPool], tmp_path: Path) -> None:
        """Functions that were taken back with their items are sent to whoever gets them."""
        pool = python_pool(2)
        path = str(tmp_path / "log")

        def made(n: int) -> Callable[[], int]:
            def run() -> int:
                if n % 20 == 0:
                    time.sleep(0.02)
                return functions.count_in(path, n)

            return run

        futures = [pool.submit(made(n)) for n in range(300)]
        assert [future.result(30) for future in futures] == [n * n for n in range(300)]
        assert sorted(map(int, (tmp_path / "log").read_text().split())) == list(range(300))


class TestStopping:
    """What had not started never starts, though the worker has read it already."""

    COUNT = 300

    def work(self, bad: int, gate: Gate, ran: Path) -> tuple[Any, ...]:
        """Fast items, one that fails if `bad` is its index, one that waits behind it, and more."""

        def item(n: int) -> int:
            functions.note(str(ran), n)
            if n == bad:
                raise ValueError(n)
            if n == 101:
                functions.wait_at(str(gate.path))
            return n

        return item, range(self.COUNT)

    def test_behind_an_error(
        self, python_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
    ) -> None:
        pool, ran = python_pool(1), tmp_path / "ran"
        pool.map(functions.inc, range(1000))

        with pytest.raises(ValueError, match="100"):
            pool.map(*self.work(100, gate, ran))
        behind = pool.submit(functions.inc, 1)
        gate.open_until(behind.done)

        assert behind.result() == 2
        begun = ran.read_text().split()
        assert begun == [str(n) for n in range(len(begun))]
        assert len(begun) in (101, 102), "the one behind the error may have begun before the end"

    def test_behind_the_end_of_a_loop(
        self, python_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
    ) -> None:
        pool, ran = python_pool(1), tmp_path / "ran"
        pool.map(functions.inc, range(1000))

        for answer in pool.imap(*self.work(-1, gate, ran), buffersize=self.COUNT):
            if answer == 100:
                gate.await_arrival()
                break
        heard = threading.Event()
        core_of(pool).loop.post(heard.set)  # a loop that is left tells it to the engine's thread
        assert heard.wait(30)
        gate.open()

        assert pool.map(functions.inc, range(5)) == list(range(1, 6))
        assert ran.read_text().split() == [str(n) for n in range(102)]


class TestTimeouts:
    def test_each_item_has_its_own(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool(2)

        def work(n: int) -> int:
            if n in (3, 7):
                threading.Event().wait()
            return n

        answers = pool.map(work, range(30), timeout=0.4, on_error="return")
        for n, answer in enumerate(answers):
            if n in (3, 7):
                assert isinstance(answer, RequestTimeout)
                assert answer.record is not None
                assert answer.record.index == n
            else:
                assert answer == n

    def test_code_that_holds_the_gil(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        pool.wait_ready()
        began = time.monotonic()
        answers = pool.map(functions.hold_gil, [0, 1000, 0], timeout=0.5, on_error="return")
        assert time.monotonic() - began < 8
        assert isinstance(answers[1], RequestTimeout)
        assert pool.call(functions.inc, 1) == 2

    @pytest.mark.parametrize("way", ["call", "submit"])
    def test_of_the_pool(self, python_pool: Callable[..., ProcessPool], way: str) -> None:
        pool = python_pool(timeouts={"request": 0.3})
        pid = pool.call(functions.pid)
        function = functools.partial(functions.hold_gil, 1000)
        ask: dict[str, Callable[[], Any]] = {
            "call": lambda: pool.call(function),
            "submit": lambda: pool.submit(function).result(),
        }
        with pytest.raises(RequestTimeout):
            ask[way]()
        await_exit(pid)
        assert pool.call(functions.inc, 1) == 2

    def test_what_ran_before_is_no_part_of_it(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()
        answers = pool.map(time.sleep, [0.1] * 12, timeout=0.6)
        assert answers == [None] * 12


class TestOffspring:
    def test_pools_in_items(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        *values, inner = pool.call(functions.use_pool, 10)
        assert values == list(range(1, 11))
        eventually(lambda: is_gone(inner))
        assert len(pool.map(functions.use_pool, [3, 3])) == 2
