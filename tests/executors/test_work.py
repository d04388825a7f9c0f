"""Executors without any process: what they refuse, and how their work is counted."""

from __future__ import annotations

import inspect
import multiprocessing
from concurrent.futures import Executor, Future, process
from typing import Any

import pytest

from processpool import PoolClosed, PoolExecutor, ProcessPool, ProcessPoolExecutor
from processpool.errors import PoolBroken, WorkerStartFailed
from processpool.executors.work import Work, translated


class TestTheSignature:
    def test_is_that_of_the_standard_library(self) -> None:
        ours = inspect.signature(ProcessPoolExecutor).parameters
        theirs = inspect.signature(process.ProcessPoolExecutor).parameters
        assert list(ours) == list(theirs)
        for name, parameter in theirs.items():
            assert (ours[name].kind, ours[name].default) == (parameter.kind, parameter.default)

    def test_is_an_executor(self) -> None:
        assert issubclass(ProcessPoolExecutor, PoolExecutor)
        assert issubclass(PoolExecutor, Executor)

    @pytest.mark.parametrize("number", [0, -1])
    def test_max_workers_is_checked(self, number: int) -> None:
        with pytest.raises(ValueError, match="max_workers must be greater than 0"):
            ProcessPoolExecutor(max_workers=number)

    @pytest.mark.parametrize("number", [2.5, 2.0, "2", [2], -1.5, False, True, None])
    def test_max_workers_is_what_the_standard_library_takes(self, number: Any) -> None:
        def outcome(kind: Any) -> tuple[type, str]:
            try:
                with kind(number) as executor:
                    return int, str(int(executor._max_workers))
            except (TypeError, ValueError) as error:
                return type(error), str(error)

        assert outcome(ProcessPoolExecutor) == outcome(process.ProcessPoolExecutor)

    def test_the_initializer_is_checked(self) -> None:
        with pytest.raises(TypeError, match="initializer must be a callable"):
            ProcessPoolExecutor(initializer="no")  # type: ignore[arg-type]

    def test_max_tasks_per_child_is_checked(self) -> None:
        with pytest.raises(TypeError, match="max_tasks_per_child must be an integer"):
            ProcessPoolExecutor(max_tasks_per_child=1.5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="max_tasks_per_child must be >= 1"):
            ProcessPoolExecutor(max_tasks_per_child=0)

    def test_a_context_is_accepted(self) -> None:
        executor = ProcessPoolExecutor(3, multiprocessing.get_context("spawn"))
        assert executor._max_workers == 3

    @pytest.mark.parametrize(
        ("sizes", "error", "message"),
        [
            ({"chunksize": 0}, ValueError, "chunksize must be >= 1."),
            ({"buffersize": 0}, ValueError, "buffersize must be None or > 0"),
            ({"buffersize": 1.5}, TypeError, "buffersize must be an integer or None"),
        ],
    )
    def test_sizes_are_checked(
        self, sizes: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            ProcessPoolExecutor(1).map(abs, [1], **sizes)


class TestUnused:
    def test_shutting_down_starts_nothing(self) -> None:
        with ProcessPoolExecutor(1) as executor:
            pass
        executor.shutdown()
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            executor.submit(abs, 1)
        assert executor._pool is None

    def test_a_pool_must_be_open_and_take_functions(self) -> None:
        config: dict[str, Any] = {"worker": {"kind": "python"}}
        with pytest.raises(PoolClosed, match="not open"):
            ProcessPool.from_dict(config).executor()
        config["worker"]["handler"] = "os.path:basename"
        with pytest.raises(TypeError, match="needs a pool of functions"):
            PoolExecutor(ProcessPool.from_dict(config))


class TestWork:
    def test_waits_for_what_is_pending(self) -> None:
        work, future = Work(), _Pending()
        work.admit(future)
        future.add_done_callback(work.done)
        future.set_result(None)
        work.wait()

    def test_takes_nothing_once_closed(self) -> None:
        work = Work()
        work.close()
        with pytest.raises(RuntimeError, match="after shutdown"):
            work.admit(_Pending())
        work.wait()

    def test_cancels_and_kills_what_is_pending(self) -> None:
        work, waiting, running = Work(), _Pending(), _Pending()
        running.set_running_or_notify_cancel()
        for future in (waiting, running):
            work.admit(future)
            future.add_done_callback(work.done)
        work.cancel()
        assert (waiting.cancelled(), running.cancelled()) == (True, False)
        work.kill()
        work.wait()
        assert running.killed


class TestErrors:
    def test_a_broken_pool_is_what_the_standard_library_calls_broken(self) -> None:
        error = PoolBroken("too often")
        error.__cause__ = WorkerStartFailed("no such thing")
        broken = translated(error)
        assert isinstance(broken, PoolBroken)
        assert isinstance(broken, process.BrokenProcessPool)
        assert "no such thing" in str(broken)
        assert broken.__cause__ is error.__cause__

    def test_a_closed_pool_and_others(self) -> None:
        closed = translated(PoolClosed("closed"))
        assert str(closed) == "cannot schedule new futures after shutdown"
        other = ValueError()
        assert translated(other) is other


class _Pending(Future[Any]):
    killed = False

    def kill(self) -> bool:
        self.killed = not self.done()
        if self.killed:
            self.set_result(None)
        return self.killed
