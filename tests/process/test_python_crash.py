"""Workers that are killed or end by themselves: one item each, and nothing runs twice."""

from __future__ import annotations

import functools
import os
import random
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, RequestTimeout, WorkerDied
from tests.process.support import await_exit, eventually, is_gone, pids
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.process.support import Gate


def by_map(pool: ProcessPool, function: Any, items: list[int]) -> list[Any]:
    return pool.map(function, items, on_error="return")


def by_imap(pool: ProcessPool, function: Any, items: list[int]) -> list[Any]:
    return list(pool.imap(function, iter(items), on_error="return"))


def by_imap_unordered(pool: ProcessPool, function: Any, items: list[int]) -> list[Any]:
    records = list(pool.imap_unordered(function, items, on_error="return", details=True))
    records.sort(key=lambda record: record.index)
    assert [record.index for record in records] == list(range(len(items)))
    return [record.value if record.ok else record.error for record in records]


def by_submit(pool: ProcessPool, function: Any, items: list[int]) -> list[Any]:
    futures = [pool.submit(function, item) for item in items]
    return [future.exception() or future.result() for future in futures]


def by_call(pool: ProcessPool, function: Any, items: list[int]) -> list[Any]:
    answers: list[Any] = []
    for item in items:
        try:
            answers.append(pool.call(function, item))
        except WorkerDied as error:
            answers.append(error)
    return answers


WAYS = [by_map, by_imap, by_imap_unordered, by_submit, by_call]


def counted(path: Path) -> Counter[int]:
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


def check(answers: list[Any], items: Iterable[int], path: Path) -> list[int]:
    """Everything ended once, right, and ran at most once; gives the items that were lost."""
    lost = []
    ran = counted(path)
    assert not [n for n, times in ran.items() if times > 1], "some ran twice"
    for n, answer in zip(items, answers, strict=True):
        if isinstance(answer, WorkerDied):
            lost.append(n)
        else:
            assert answer == n * n
            assert ran[n] == 1
    return lost


class TestEnds:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("how", ["SIGKILL", "exit", "clean exit", "abort", "segfault"])
    def test_exactly_that_item(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path, way: Any, how: str
    ) -> None:
        pool = python_pool(2)
        pool.wait_ready()
        path = tmp_path / "log"
        items = list(range(120))
        function = functools.partial(functions.count_and_end, str(path), every=40, how=how)
        assert check(way(pool, function, items), items, path) == [39, 79, 119]
        assert sorted(counted(path)) == items
        assert pool.call(functions.inc, 1) == 2

    @pytest.mark.parametrize(
        ("how", "says"),
        [
            ("SIGKILL", "was killed by SIGKILL"),
            ("SIGTERM", "was killed by SIGTERM"),
            ("exit", "exited with status 7"),
            ("clean exit", "exited with status 0"),
            ("abort", "was killed by SIGABRT"),
            ("segfault", "was killed by SIGSEGV"),
        ],
    )
    def test_what_the_error_says(
        self, python_pool: Callable[..., ProcessPool], how: str, says: str
    ) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        for error in (
            pool.submit(functions.end, how).exception(),
            pool.map(functions.end, [how], on_error="return")[0],
        ):
            assert isinstance(error, WorkerDied)
            assert says in str(error)
            assert error.record is not None
            assert error.record.error is error
            if error.record.worker_id == 1:
                assert f"pid {pid}" in str(error)
            if how in ("abort", "segfault"):
                assert "Fatal Python error" in error.record.stderr
                assert "functions.py" in error.record.stderr

    def test_fast_items_before_a_crash_are_delivered(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        """What was computed and not yet sent survives the worker."""
        pool = python_pool()
        path = tmp_path / "log"
        function = functools.partial(functions.count_and_end, str(path), every=5000, how="SIGKILL")
        items = list(range(20_000))
        lost = check(by_map(pool, function, items), items, path)
        assert lost == [4999, 9999, 14999, 19999]

    def test_an_idle_worker_is_replaced_unnoticed(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()
        for _ in range(10):
            pid = pool.call(functions.pid)
            os.kill(pid, signal.SIGKILL)
            assert pool.call(functions.pid) != pid
        for _ in range(10):
            (pid,) = pool.map(functions.pid, [1])
            os.kill(pid, signal.SIGKILL)
            assert pool.map(functions.pid, [1]) != [pid]

    def test_a_crash_ends_a_map_that_raises(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool(2)
        path = tmp_path / "log"
        function = functools.partial(functions.count_and_end, str(path), every=100, how="exit")
        with pytest.raises(WorkerDied) as caught:
            pool.map(function, range(1_000_000))
        assert caught.value.record is not None
        assert caught.value.record.index % 100 == 99
        pool.drain(30)
        assert len(counted(path)) < 500_000


class TestStorm:
    """Kills at any moment, from outside."""

    @pytest.fixture(params=WAYS)
    def way(self, request: pytest.FixtureRequest) -> Any:
        return request.param

    def test_some(self, python_pool: Callable[..., ProcessPool], tmp_path: Path, way: Any) -> None:
        self._storm(python_pool(2), tmp_path / "log", way, items=3000, kills=12, seed=1)

    @pytest.mark.slow
    def test_thousands(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path, way: Any
    ) -> None:
        pool = python_pool(3, restart={"max_failures": 1000, "within": "1s"})
        for seed in range(10):
            self._storm(pool, tmp_path / f"log{seed}", way, items=20_000, kills=60, seed=seed)

    def _storm(
        self, pool: ProcessPool, path: Path, way: Any, *, items: int, kills: int, seed: int
    ) -> None:
        chance = random.Random(seed)
        over = threading.Event()
        killed: set[int] = set()

        def kill() -> None:
            while len(killed) < kills and not over.wait(chance.expovariate(100)):
                alive = [pid for pid in pids(pool) if pid not in killed]
                if alive:
                    victim = chance.choice(alive)
                    killed.add(victim)
                    os.kill(victim, signal.SIGKILL)

        pool.wait_ready()
        killer = threading.Thread(target=kill)
        killer.start()
        numbers = list(range(items))
        function = functools.partial(functions.count_slowly, str(path))
        try:
            answers = way(pool, function, numbers)
        finally:
            over.set()
            killer.join()
        lost = check(answers, numbers, path)
        assert len(lost) <= len(killed)
        for n in lost:
            assert answers[n].record.pid in killed
        eventually(lambda: len(pids(pool)) == pool.config.size.min)
        assert way(pool, functions.inc, [1, 2]) == [2, 3]


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
        assert set(counted(tmp_path / "log").values()) == {1}


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
    def test_a_grandchild_does_not_keep_the_item_open(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool()

        def leave_child() -> None:
            if not os.fork():
                threading.Event().wait()
            os._exit(4)

        began = time.monotonic()
        with pytest.raises(WorkerDied, match="status 4"):
            pool.call(leave_child)
        assert time.monotonic() - began < 5
        assert pool.call(functions.inc, 1) == 2

    def test_pools_in_items(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        *values, inner = pool.call(functions.use_pool, 10)
        assert values == list(range(1, 11))
        eventually(lambda: is_gone(inner))
        assert len(pool.map(functions.use_pool, [3, 3])) == 2

    def test_a_worker_that_is_killed_takes_its_pool_along(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool()
        path = tmp_path / "pids"

        def open_pool() -> None:
            inner = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}}).open()
            functions.note(str(path), inner.call(functions.pid))
            threading.Event().wait()

        future = pool.submit(open_pool)
        eventually(lambda: path.exists() and path.read_text().endswith("\n"))
        os.kill(pool.snapshot().workers[0].pid or 0, signal.SIGKILL)
        assert isinstance(future.exception(10), WorkerDied)
        await_exit(int(path.read_text()), within=2)
