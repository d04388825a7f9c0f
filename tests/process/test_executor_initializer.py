"""Initializers, and workers that are replaced after some items."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from processpool import PoolBroken, ProcessPool, ProcessPoolExecutor
from processpool.config import pool_from_dict
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


inherited: tuple[Any, ...] = ()


def inherit(*objects: Any) -> None:
    global inherited
    inherited = objects


def use(n: int) -> str:
    """Do something with each of them; the worker's number."""
    queue, simple_queue, lock, event, value, array, pipe = inherited
    event.wait()
    queue.put(n)
    with lock:
        simple_queue.put(n)
        pipe.send(n)
    with value.get_lock():
        value.value += n
    array[n] = n
    return str(os.getpid())


def read_first() -> Any:
    return inherited[0].value


def take_one(path: str) -> int:
    """End the worker at the first item; then send one."""
    if not os.path.exists(path):
        functions.note(path, "ended")
        os._exit(1)
    inherited[0].put(7)
    return os.getpid()


def _close(queue: Any) -> None:
    """Close it, and await the end of its thread."""
    queue.close()
    queue.join_thread()


@pytest.fixture(scope="module")
def _kept_by_multiprocessing() -> None:
    """What it begins with the first lock and the first value, and keeps."""
    resource_tracker.ensure_running()
    multiprocessing.RawValue("i")


@pytest.mark.usefixtures("_kept_by_multiprocessing")
class TestWhatWorkersInherit:
    """Objects of multiprocessing that are arguments of the initializer."""

    @pytest.mark.parametrize("method", ["spawn", "forkserver"])
    def test_every_kind(self, method: str) -> None:
        context: Any = multiprocessing.get_context(method)
        queue, simple_queue = context.Queue(), context.SimpleQueue()
        event, value, array = context.Event(), context.Value("i", 0), context.Array("i", 20)
        reader, writer = context.Pipe(duplex=False)
        objects = (queue, simple_queue, context.Lock(), event, value, array, writer)
        with ProcessPoolExecutor(2, initializer=inherit, initargs=objects) as executor:
            results = executor.map(use, range(20))
            event.set()
            assert len(list(results)) == 20
        assert sorted(queue.get(timeout=30) for _ in range(20)) == list(range(20))
        assert sorted(simple_queue.get() for _ in range(20)) == list(range(20))
        assert sorted(reader.recv() for _ in range(20)) == list(range(20))
        assert (value.value, list(array)) == (190, list(range(20)))
        reader.close()
        writer.close()
        simple_queue.close()
        _close(queue)

    def test_a_worker_that_is_started_later_has_them_too(self, tmp_path: Path) -> None:
        queue = multiprocessing.get_context("spawn").Queue()
        with ProcessPoolExecutor(1, initializer=inherit, initargs=(queue,)) as executor:
            executor.submit(take_one, str(tmp_path / "ended")).exception()
            executor.submit(take_one, str(tmp_path / "ended")).result()
            assert queue.get(timeout=30) == 7
        _close(queue)

    def test_in_the_setup_of_a_pool(self) -> None:
        value = multiprocessing.get_context("spawn").Value("i", 5)
        config = pool_from_dict({"worker": {"kind": "python"}, "size": {"max": 1}})
        with ProcessPool(config, setup=lambda: inherit(value)) as pool:
            assert pool.call(read_first) == 5

    def test_closed_while_it_is_needed(self, caplog: pytest.LogCaptureFixture) -> None:
        reader, writer = multiprocessing.get_context("spawn").Pipe(duplex=False)
        with ProcessPoolExecutor(1, initializer=inherit, initargs=(writer,)) as executor:
            assert executor.submit(abs, -1).result() == 1
            writer.close()
            executor.submit(functions.end, "SIGKILL").exception()
            with pytest.raises(BrokenProcessPool, match="was closed"):
                executor.submit(abs, -1).result()
        reader.close()
        assert "was closed" in caplog.text

    @pytest.mark.skipif(
        not hasattr(multiprocessing.get_context("fork").Lock(), "_is_fork_ctx"),
        reason="before 3.11.5 multiprocessing itself does not tell them from others",
    )
    @pytest.mark.parametrize("kind", ["Queue", "SimpleQueue", "Lock", "Event"])
    def test_of_a_fork_they_are_refused_and_it_is_said_what_to_do(self, kind: str) -> None:
        made = getattr(multiprocessing.get_context("fork"), kind)()
        executor = ProcessPoolExecutor(1, initializer=inherit, initargs=(made,))
        with pytest.raises(RuntimeError, match=r"get_context\('spawn'\), or from a .*Manager"):
            executor.submit(abs, -1)
        executor.shutdown()
        if kind == "Queue":
            _close(made)
        elif kind == "SimpleQueue":
            made.close()


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
