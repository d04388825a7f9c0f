"""`priority=`, and `pool.options(...)`: a view of the pool, on other terms."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, RequestTimeout
from tests.process.support import TASKS_SERVE, Gate, eventually, pids
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable


def note(path: str, name: str) -> str:
    """Write down that this item has begun."""
    with open(path, "a", encoding="ascii") as file:
        file.write(f"{name}\n")
    return name


def wait_at(gate: str, path: str, name: str) -> str:
    with open(gate, "rb") as file:
        file.read()
    return note(path, name)


def begun(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


class Busy:
    """A pool with one worker that stands at a gate, and less urgent items behind it."""

    def __init__(self, pool: ProcessPool, gate: Gate, path: Path) -> None:
        self.pool, self.gate, self.path = pool, gate, path
        self.first = pool.submit(wait_at, str(gate.path), str(path), "first")
        gate.await_arrival()
        self.low = [pool.submit(note, str(path), f"low{n}") for n in range(4)]

    def has(self, items: int) -> bool:
        """True if the pool has so many items by now."""
        now = self.pool.snapshot(resources=False)
        return now.running + now.queued == items

    def order(self) -> list[str]:
        """Open the gate; what began, in order."""
        self.gate.open()
        self.pool.drain()
        return begun(self.path)


@pytest.fixture
def busy(python_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path) -> Busy:
    return Busy(python_pool(1), gate, tmp_path / "begun")


LOW = [f"low{n}" for n in range(4)]


class TestPriority:
    def test_a_more_urgent_call_goes_before_what_the_worker_holds(self, busy: Busy) -> None:
        urgent = busy.pool.options(priority=5)
        futures = [urgent.submit(note, str(busy.path), f"high{n}") for n in range(2)]
        assert busy.order() == ["first", "high0", "high1", *LOW]
        assert [future.result() for future in futures] == ["high0", "high1"]

    def test_less_urgent_ones_go_last(self, busy: Busy) -> None:
        last = busy.pool.options(priority=-1).submit(note, str(busy.path), "last")
        busy.pool.submit(note, str(busy.path), "usual")
        assert busy.order() == ["first", *LOW, "usual", "last"]
        assert last.result() == "last"

    def test_the_highest_goes_first(self, busy: Busy) -> None:
        for priority in (1, 3, 2):
            busy.pool.options(priority=priority).submit(note, str(busy.path), f"p{priority}")
        assert busy.order() == ["first", "p3", "p2", "p1", *LOW]

    @pytest.mark.parametrize("method", ["map", "imap", "imap_unordered"])
    def test_maps(self, busy: Busy, method: str) -> None:
        names = [f"high{n}" for n in range(3)]
        run: Any = getattr(busy.pool, method)

        def consume() -> list[str]:
            ahead = {} if method == "map" else {"buffersize": 3}
            return list(run(note, [str(busy.path)] * 3, names, priority=1, **ahead))

        found: list[list[str]] = []
        thread = Thread(target=lambda: found.append(consume()))
        thread.start()
        eventually(lambda: busy.has(1 + len(LOW) + 3))
        assert busy.order() == ["first", *names, *LOW]
        thread.join()
        assert sorted(found[0]) == names

    def test_aimap_and_acall(self, busy: Busy) -> None:
        path = str(busy.path)

        async def main() -> None:
            call = asyncio.create_task(busy.pool.options(priority=2).acall(note, path, "call"))
            answers = busy.pool.aimap(note, [path], ["map"], priority=1)
            first = asyncio.ensure_future(anext(aiter(answers)))
            while not busy.has(1 + len(LOW) + 2):
                await asyncio.sleep(0)
            busy.gate.open()
            assert [await call, await first] == ["call", "map"]

        asyncio.run(main())
        busy.pool.drain()
        assert begun(busy.path) == ["first", "call", "map", *LOW]

    def test_an_executor_over_the_view(self, busy: Busy) -> None:
        executor = busy.pool.options(priority=1).executor()
        future = executor.submit(note, str(busy.path), "high")
        answers = executor.map(note, [str(busy.path)], ["mapped"])
        assert busy.order() == ["first", "high", "mapped", *LOW]
        assert [future.result(), *answers] == ["high", "mapped"]
        executor.shutdown()

    def test_of_a_program_that_gives_items_back(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(TASKS_SERVE, worker={"protocol": {"kind": "framed", "pipeline": 8}})
        ended: list[str] = []
        pool.submit(f"wait {gate.path}")
        gate.await_arrival()

        def submit(priority: int, name: str) -> None:
            future = pool.options(priority=priority).submit(f"echo {name}")
            future.add_done_callback(lambda done: ended.append(done.result()))

        for name in ("a", "b"):
            submit(0, name)
        submit(1, "urgent")
        gate.open()
        eventually(lambda: len(ended) == 3)
        assert ended == ["urgent", "a", "b"]

    def test_a_running_map_of_fast_items_gives_way(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(2)
        slow = pool.imap(functions.inc, range(10**9))
        assert next(slow) == 1
        urgent = pool.options(priority=1)
        assert urgent.map(functions.inc, range(1000)) == list(range(1, 1001))
        assert [next(slow) for _ in range(5)] == [2, 3, 4, 5, 6]

    @pytest.mark.parametrize("priority", ["5", 1.5, True, None])
    def test_it_is_a_whole_number(
        self, python_pool: Callable[..., ProcessPool], priority: Any
    ) -> None:
        pool = python_pool(1)
        with pytest.raises(TypeError, match="priority is a whole number"):
            pool.options(priority=priority)
        with pytest.raises(TypeError, match="priority is a whole number"):
            pool.map(functions.inc, [1], priority=priority)


class TestOptions:
    def test_timeout(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(1, timeouts={"request": "1m"})
        hurried = pool.options(timeout="50ms")
        with pytest.raises(RequestTimeout):
            hurried.submit(time.sleep, 60).result()
        with pytest.raises(RequestTimeout):
            hurried.call(time.sleep, 60)
        with pytest.raises(RequestTimeout):
            hurried.map(time.sleep, [60])
        assert pool.options(timeout=None).call(functions.inc, 1) == 2

    def test_name(self, python_pool: Callable[..., ProcessPool]) -> None:
        named = python_pool(1).options(name="parse")
        for fail in (
            lambda: named.submit(functions.fail, "x").result(),
            lambda: named.call(functions.fail, "x"),
            lambda: named.map(functions.fail, ["x"]),
        ):
            with pytest.raises(ValueError, match="x") as caught:
                fail()
            assert caught.value.record.name == "parse"  # type: ignore[attr-defined]
            assert "'parse'" in caught.value.__notes__[0]

    def test_retry(self, python_pool: Callable[..., ProcessPool], tmp_path: Path) -> None:
        pool = python_pool(1, restart={"backoff": ["1ms", "1ms"]})

        def crash_once(path: str) -> int:
            first = not os.path.exists(path)
            Path(path).touch()
            if first:
                os.kill(os.getpid(), signal.SIGKILL)
            return 1

        assert pool.options(retry=2).call(crash_once, str(tmp_path / "a")) == 1
        assert pool.options(retry=2).map(crash_once, [str(tmp_path / "b")]) == [1]

        def fail_once(path: str) -> int:
            first = not os.path.exists(path)
            Path(path).touch()
            if first:
                raise OSError("the first time")
            return 1

        on_error = pool.options(retry={"attempts": 2, "on": ["error"]})
        future = on_error.submit(fail_once, str(tmp_path / "c"))
        assert future.result() == 1
        assert future.record is not None
        assert future.record.attempts == 2
        with pytest.raises(OSError, match="the first time"):
            pool.options(retry=2).call(fail_once, str(tmp_path / "d"))

    def test_options_add_up_and_leave_the_pool_as_it_is(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(1)
        view = pool.options(name="one").options(timeout="50ms")
        with pytest.raises(RequestTimeout) as caught:
            view.submit(time.sleep, 60).result()
        assert caught.value.record is not None
        assert caught.value.record.name == "one"
        future = pool.submit(functions.inc, 1)
        assert future.result() == 2
        assert future.record is not None
        assert future.record.name != "one"

    def test_a_view_keeps_its_pool(self) -> None:
        view = ProcessPool.from_dict({"worker": {"kind": "python"}}).open().options(priority=1)
        gc.collect()
        assert view.call(functions.inc, 1) == 2
        assert isinstance(view, ProcessPool)
        assert len(pids(view)) == 1
        view.close()

    def test_outcomes_are_retried_on_the_same_terms(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool(1)

        def fail_once(path: str) -> int:
            first = not os.path.exists(path)
            Path(path).touch()
            if first:
                raise OSError("the first time")
            return 1

        view = pool.options(name="parse")
        outcomes = view.map(fail_once, [str(tmp_path / "x")], details=True, on_error="return")
        del view
        gc.collect()
        again = outcomes.retry()
        assert again.values() == [1]
        assert again[0].name == "parse"

    @pytest.mark.parametrize(
        ("options", "kind", "text"),
        [
            ({"retry": 0}, ValueError, "at least 1"),
            ({"retry": {"on": ["crsh"]}}, ValueError, "may have crash, error, timeout"),
            ({"retry": {"attempt": 2}}, ValueError, "keys attempts and on"),
            ({"name": 3}, TypeError, "a str"),
            ({"timeout": "soon"}, ValueError, "timeout"),
        ],
    )
    def test_what_is_refused(
        self,
        python_pool: Callable[..., ProcessPool],
        options: dict[str, Any],
        kind: type[Exception],
        text: str,
    ) -> None:
        with pytest.raises(kind, match=text):
            python_pool(1).options(**options)
