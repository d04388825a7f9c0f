"""What an executor does with its items: futures and maps, errors, crashes, and what it keeps."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import FIRST_COMPLETED, as_completed, wait
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from processpool import PoolExecutor, ProcessPool, ProcessPoolExecutor, WorkerDied
from tests.process.support import eventually
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.process.support import Gate


@pytest.fixture(params=["own pool", "open pool"])
def executor(
    request: pytest.FixtureRequest, python_pool: Callable[..., ProcessPool]
) -> Iterator[PoolExecutor]:
    """An executor with two workers, of either kind."""
    if request.param == "open pool":
        executor = python_pool(2).executor()
        assert isinstance(executor, PoolExecutor)
        yield executor
        return
    own = ProcessPoolExecutor(2)
    yield own
    own.kill_workers()


@pytest.fixture
def single() -> Iterator[ProcessPoolExecutor]:
    """An executor with one worker."""
    executor = ProcessPoolExecutor(1)
    yield executor
    executor.kill_workers()


class Refers:
    """Something that a weak reference can refer to."""


def take_none(_: Any) -> None:
    pass


def failing(kind: str) -> None:
    if kind == "group":
        raise ExceptionGroup("both", [ValueError(1), TypeError("two")])
    error = KeyError("key", 3)
    error.add_note("a note")
    error.extra = [1]  # type: ignore[attr-defined]
    raise error from ZeroDivisionError("first")


class TestFutures:
    def test_results(self, executor: PoolExecutor) -> None:
        assert executor.submit(pow, 2, 8).result() == 256
        future = executor.submit(dict, self=1, fn=2)
        assert future.result() == {"self": 1, "fn": 2}
        with pytest.raises(TypeError):
            executor.submit(fn=abs, arg=1)  # type: ignore[call-arg]

    def test_many(self, executor: PoolExecutor) -> None:
        futures = [executor.submit(functions.inc, n) for n in range(2000)]
        assert [future.result() for future in futures] == list(range(1, 2001))

    def test_wait_and_as_completed(self, executor: PoolExecutor, gate: Gate) -> None:
        slow = executor.submit(functions.wait_at, str(gate.path))
        fast = executor.submit(abs, -1)
        assert wait([slow, fast], return_when=FIRST_COMPLETED) == ({fast}, {slow})
        with pytest.raises(TimeoutError):
            slow.result(timeout=0)
        gate.open()
        assert {future.result() for future in as_completed([slow, fast])} == {"passed", 1}

    def test_cancelling(self, single: ProcessPoolExecutor, gate: Gate, tmp_path: Path) -> None:
        first = single.submit(functions.wait_at, str(gate.path))
        others = [single.submit(functions.note, tmp_path / "ran", n) for n in range(50)]
        gate.await_arrival()
        assert not first.cancel()
        cancelled = [n for n, future in enumerate(others) if future.cancel()]
        assert len(cancelled) >= 48
        gate.open()
        assert first.result() == "passed"
        assert single.submit(abs, -1).result() == 1
        ran = (tmp_path / "ran").read_text().split() if (tmp_path / "ran").exists() else []
        assert [int(n) for n in ran] == [n for n in range(50) if n not in cancelled]

    def test_a_full_queue_blocks_nobody(self, python_pool: Callable[..., ProcessPool]) -> None:
        executor = python_pool(queue={"max_pending": 1}).executor()
        futures = [executor.submit(functions.inc, n) for n in range(100)]
        assert [future.result() for future in futures] == list(range(1, 101))


class TestMaps:
    def test_results_in_order(self, executor: PoolExecutor) -> None:
        expected = list(map(pow, range(100), range(100)))
        assert list(executor.map(pow, range(100), range(200), chunksize=7)) == expected
        assert list(executor.map(abs)) == []
        assert list(executor.map(abs, [])) == []
        assert list(executor.map(functions.inc, range(20_000))) == list(range(1, 20_001))

    def test_submits_at_once_without_being_asked(
        self, executor: PoolExecutor, tmp_path: Path
    ) -> None:
        ran = tmp_path / "ran"
        results = executor.map(functions.note, [str(ran)] * 3, "abc")
        eventually(lambda: ran.exists() and len(ran.read_text()) == 6)
        assert list(results) == list("abc")

    def test_an_error_comes_in_its_place(self, executor: PoolExecutor) -> None:
        results = executor.map(divmod, [1, 1, 1, 1], [2, 3, 0, 5])
        assert [next(results), next(results)] == [(0, 1), (0, 1)]
        with pytest.raises(ZeroDivisionError):
            next(results)
        with pytest.raises(StopIteration):
            next(results)

    def test_a_timeout_holds_for_the_whole(self, executor: PoolExecutor, gate: Gate) -> None:
        results = executor.map(functions.wait_at, [str(gate.path)], timeout=0.1)
        gate.await_arrival()
        with pytest.raises(TimeoutError):
            list(results)
        gate.open()

    def test_a_result_that_is_there_is_never_too_late(self, executor: PoolExecutor) -> None:
        began = time.monotonic()
        results = executor.map(abs, [-1, -2], timeout=0.2)
        assert executor.submit(abs, -3).result() == 3
        eventually(lambda: time.monotonic() - began > 0.3)
        assert list(results) == [1, 2]

    def test_left_before_the_end_the_rest_is_cancelled(
        self, single: ProcessPoolExecutor, gate: Gate, tmp_path: Path
    ) -> None:
        ran = str(tmp_path / "ran")
        assert single.submit(functions.note, ran, "first").result() == "first"
        blocked = single.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        with pytest.raises(TimeoutError):
            next(single.map(functions.note, [ran] * 100, count(), timeout=0))
        gate.open()
        assert blocked.result() == "passed"
        assert single.submit(abs, -1).result() == 1
        assert len((tmp_path / "ran").read_text().splitlines()) < 90

    def test_buffersize_bounds_what_is_read(self, executor: PoolExecutor) -> None:
        read: list[int] = []

        def source() -> Iterator[int]:
            for n in count():
                read.append(n)
                yield n

        results = executor.map(functions.inc, source(), buffersize=3)
        assert len(read) == 3
        assert [next(results) for _ in range(5)] == [1, 2, 3, 4, 5]
        assert len(read) == 8

    def test_bad_input_is_told_at_once(self, executor: PoolExecutor) -> None:
        with pytest.raises(TypeError, match="iter"):
            executor.map(abs, 5)  # type: ignore[arg-type]

        def source() -> Iterator[int]:
            yield 1
            raise LookupError("no more")

        with pytest.raises(LookupError):
            executor.map(abs, source())


class TestErrors:
    def test_everything_about_an_exception(self, executor: PoolExecutor) -> None:
        error: Any = executor.submit(failing, "notes").exception()
        assert (type(error), error.args, error.extra) == (KeyError, ("key", 3), [1])
        assert error.__notes__[0] == "a note"
        assert "raise error from ZeroDivisionError" in error.__cause__.tb
        assert "ZeroDivisionError: first" in str(error.__cause__)

    def test_groups(self, executor: PoolExecutor) -> None:
        group = executor.submit(failing, "group").exception()
        assert isinstance(group, ExceptionGroup)
        assert [type(error) for error in group.exceptions] == [ValueError, TypeError]

    @pytest.mark.parametrize(
        ("function", "args", "error"),
        [
            (functions.same, [functions.Unpicklable()], RuntimeError),
            (functions.same, [functions.RaisesWhenUnpickled()], ValueError),
            (functions.make, ["Unpicklable"], RuntimeError),
            (functions.make, ["RaisesWhenUnpickled"], ValueError),
            (functions.Unpicklable, [], RuntimeError),
            (threading.Lock().acquire, [], TypeError),
            (42, [], TypeError),
            (functions.end, ["segfault"], WorkerDied),
            (functions.end, ["clean exit"], WorkerDied),
            (functions.make, ["EndsWhenPickled"], WorkerDied),
            (functions.same, [functions.EndsWhenUnpickled()], WorkerDied),
        ],
    )
    def test_concern_that_item_alone(
        self, executor: PoolExecutor, function: Any, args: list[Any], error: type[Exception]
    ) -> None:
        before = [executor.submit(functions.inc, n) for n in range(5)]
        bad = executor.submit(function, *args)
        after = executor.map(functions.inc, range(5))
        assert isinstance(bad.exception(), error)
        assert [future.result() for future in before] == list(after) == [1, 2, 3, 4, 5]

    def test_what_is_no_function_fails_as_a_call_of_it_would(self, executor: PoolExecutor) -> None:
        future = executor.submit(5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^'int' object is not callable$"):
            future.result()
        results = executor.map("five", [1])  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^'str' object is not callable$"):
            next(results)

    def test_a_function_that_cannot_be_sent_fails_at_the_first_item(
        self, executor: PoolExecutor
    ) -> None:
        results = executor.map(threading.Lock().acquire, [1])
        with pytest.raises(TypeError, match="cannot pickle"):
            next(results)


class TestWhatIsKept:
    def test_no_result(self, executor: PoolExecutor) -> None:
        for result in executor.map(functions.make, ["Point"] * 0):
            raise AssertionError(result)
        kept = []
        for point in executor.map(functions.Point, range(20), range(20)):
            kept.append(weakref.ref(point))
            del point
            eventually(lambda: kept[-1]() is None)

    def test_no_argument_and_no_future(self, executor: PoolExecutor) -> None:
        gc.collect()
        gc.disable()
        try:
            argument = Refers()
            future = executor.submit(take_none, argument)
            assert future.result() is None
            gone = weakref.ref(argument), weakref.ref(future)
            del argument, future
            eventually(lambda: [ref() for ref in gone] == [None, None])
        finally:
            gc.enable()

    def test_what_items_print_is_printed_here(
        self, single: ProcessPoolExecutor, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert single.submit(print, "from a future").result() is None
        assert list(single.map(print, ["from", "a map"])) == [None, None]
        assert capsys.readouterr().out == "from a future\nfrom\na map\n"

    def test_dask_knows_how_many_workers_there_are(self, executor: PoolExecutor) -> None:
        assert executor._max_workers == 2
