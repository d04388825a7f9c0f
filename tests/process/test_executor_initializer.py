"""Initializers, and workers that are replaced after some items."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from threading import Lock
from typing import TYPE_CHECKING

import pytest

from processpool import PoolBroken, ProcessPoolExecutor
from tests.process.support import run_python
from tests.process.workers import functions

if TYPE_CHECKING:
    from pathlib import Path

status = "new"


def init(value: str) -> None:
    global status
    status = value


def get_status() -> str:
    return status


def init_badly(path: str) -> None:
    functions.note(path, "tried")
    raise ValueError("not today")


class TestInitializer:
    def test_is_called_in_every_worker(self) -> None:
        with ProcessPoolExecutor(2, initializer=init, initargs=("done",)) as executor:
            assert set(executor.map(_status, range(50))) == {"done"}
        assert status == "new"

    def test_is_called_again_after_a_crash(self) -> None:
        with ProcessPoolExecutor(1, initializer=init, initargs=("done",)) as executor:
            executor.submit(functions.end, "SIGKILL").exception()
            assert executor.submit(get_status).result() == "done"

    def test_of_the_main_module(self) -> None:
        done = run_python(
            """
            from processpool import ProcessPoolExecutor
            model, cache, size = None, {}, 3
            def init(n):
                global model
                model = [n] * size
                cache["key"] = "value"
            def work(x):
                return model, dict(cache), len(model) == size, x
            if __name__ == "__main__":
                with ProcessPoolExecutor(1, initializer=init, initargs=(7,)) as executor:
                    print(executor.submit(work, 1).result())
                    print(next(executor.map(lambda x: work(x), [2])))
            """
        )
        assert done.stderr == ""
        assert done.stdout.splitlines() == [
            "([7, 7, 7], {'key': 'value'}, True, 1)",
            "([7, 7, 7], {'key': 'value'}, True, 2)",
        ]

    def test_that_fails_breaks_the_executor(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = str(tmp_path / "tried")
        with ProcessPoolExecutor(1, initializer=init_badly, initargs=(path,)) as executor:
            futures = [executor.submit(abs, n) for n in range(3)]
            for future in futures:
                with pytest.raises(BrokenProcessPool, match="ValueError: not today"):
                    future.result()
            with pytest.raises(PoolBroken, match="not today"):
                executor.submit(abs, 1)
            with pytest.raises(BrokenProcessPool):
                executor.map(abs, [1])
        assert (tmp_path / "tried").read_text() == "tried\n"
        assert "not today" in caplog.text

    def test_that_cannot_be_sent(self) -> None:
        executor = ProcessPoolExecutor(1, initializer=functions.same, initargs=(Lock(),))
        with pytest.raises(TypeError, match="cannot pickle"):
            executor.submit(abs, 1)
        executor.shutdown()


class TestMaxTasksPerChild:
    def test_a_worker_is_replaced_after_so_many(self) -> None:
        with ProcessPoolExecutor(1, max_tasks_per_child=3) as executor:
            pids = list(executor.map(functions.pid, range(7)))
        assert [len({*pids[n : n + 3]}) for n in (0, 3, 6)] == [1, 1, 1]
        assert len(set(pids)) == 3

    def test_nothing_is_stranded_by_an_early_shutdown(self) -> None:
        executor = ProcessPoolExecutor(3, max_tasks_per_child=1)
        futures = [executor.submit(functions.pid) for _ in range(6)]
        executor.shutdown()
        assert len({future.result() for future in futures}) == 6


class TestManagers:
    def test_proxies_are_arguments_like_others(self) -> None:
        done = run_python(
            """
            import multiprocessing
            from processpool import ProcessPoolExecutor
            if __name__ == "__main__":
                with multiprocessing.get_context("spawn").Manager() as manager:
                    shared = manager.list()
                    with ProcessPoolExecutor(1) as executor:
                        executor.submit(list.append, [], 1).result()
                        executor.submit(shared.append, "there").result()
                    print([*shared])
            """
        )
        assert (done.stdout, done.stderr) == ("['there']\n", "")


def _status(_: int) -> str:
    return status
