"""How executors end: shut down, dropped, interrupted, or with the interpreter."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from processpool import PoolClosed, ProcessPool, ProcessPoolExecutor
from tests.process.support import Gate, await_exit, eventually, pids, run_python
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path
    from typing import Any

SUBMITS = """
    import sys, time
    from processpool import ProcessPoolExecutor

    def slow(word):
        time.sleep(0.2)
        print(word)
        return word

    if __name__ == "__main__":
        executor = ProcessPoolExecutor(2)
        executor.submit(slow, "one")
        executor.submit(slow, "two")
        executor.map(slow, ["three"])
"""


class TestShutdown:
    def test_waits_for_everything(self) -> None:
        executor = ProcessPoolExecutor(2)
        futures = [executor.submit(functions.inc, n) for n in range(100)]
        results = executor.map(functions.inc, range(100))
        executor.shutdown()
        assert all(future.done() for future in futures)
        assert [future.result() for future in futures] == list(results)
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            executor.submit(abs, 1)
        with pytest.raises(RuntimeError, match="after shutdown"):
            executor.map(abs, [1])
        executor.shutdown()

    def test_without_waiting(self, gate: Gate) -> None:
        executor = ProcessPoolExecutor(1)
        future = executor.submit(functions.wait_at, str(gate.path))
        results = executor.map(functions.inc, range(3))
        executor.shutdown(wait=False)
        with pytest.raises(RuntimeError):
            executor.submit(abs, 1)
        gate.open()
        assert future.result() == "passed"
        assert list(results) == [1, 2, 3]

    def test_before_any_worker_has_started(self) -> None:
        executor = ProcessPoolExecutor(1)
        future = executor.submit(functions.inc, 1)
        executor.shutdown(wait=False)
        assert future.result() == 2

    def test_cancelling_what_has_not_started(self, gate: Gate) -> None:
        executor = ProcessPoolExecutor(1)
        first = executor.submit(functions.wait_at, str(gate.path))
        futures = [executor.submit(functions.inc, n) for n in range(20)]
        results = executor.map(functions.inc, range(20))
        gate.await_arrival()
        ending = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True})
        ending.start()
        assert eventually(lambda: sum(future.cancelled() for future in futures) >= 19)
        gate.open()
        ending.join()
        assert first.result() == "passed"
        assert all(future.done() for future in futures)
        with pytest.raises(CancelledError):
            list(results)

    def test_what_the_first_workers_are_about_to_take_is_not_cancelled(self) -> None:
        executor = ProcessPoolExecutor(3)
        futures = [executor.submit(functions.inc, n) for n in range(50)]

        executor.shutdown(cancel_futures=True)

        kept = [future for future in futures if not future.cancelled()]
        assert [future.result() for future in kept[:3]] == [1, 2, 3]
        assert all(future.done() for future in futures)

    def test_with_a_crash_on_the_way(self) -> None:
        executor = ProcessPoolExecutor(1)
        crash = executor.submit(functions.end, "SIGKILL")
        after = executor.submit(functions.inc, 1)
        executor.shutdown()
        assert "SIGKILL" in str(crash.exception())
        assert after.result() == 2

    def test_from_a_callback(self) -> None:
        executor = ProcessPoolExecutor(1)
        closed = threading.Event()

        def close(_: Future[Any]) -> None:
            executor.shutdown()
            closed.set()

        executor.submit(functions.inc, 1).add_done_callback(close)
        assert closed.wait(30)

    def test_a_cancelled_future_delays_nothing(self) -> None:
        executor = ProcessPoolExecutor(1)
        executor.submit(int).result()
        executor.submit(int).cancel()
        executor.shutdown()

    def test_kill_workers(self, gate: Gate) -> None:
        executor = ProcessPoolExecutor(1)
        future = executor.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        executor.kill_workers()
        assert future.done()
        assert future.exception() is not None

    def test_over_an_open_pool_it_leaves_the_pool_open(
        self, python_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = python_pool(1)
        with pool.executor() as executor:
            future = executor.submit(functions.inc, 1)
        assert future.done()
        assert pool.call(functions.inc, 2) == 3
        other = pool.executor()
        pool.close()
        with pytest.raises(RuntimeError, match="after shutdown") as error:
            other.submit(functions.inc, 1)
        assert isinstance(error.value.__cause__, PoolClosed)


class TestDropped:
    def test_what_is_pending_is_finished(self, gate: Gate) -> None:
        executor = ProcessPoolExecutor(1)
        future = executor.submit(functions.wait_at, str(gate.path))
        results = executor.map(functions.inc, range(10))
        assert executor._pool is not None
        workers = pids(executor._pool)
        del executor
        gc.collect()
        gate.open()
        assert future.result() == "passed"
        assert list(results) == list(range(1, 11))
        for pid in workers:
            await_exit(pid)

    def test_over_an_open_pool(self, python_pool: Callable[..., ProcessPool]) -> None:
        future = python_pool(1).executor().submit(functions.inc, 1)
        assert future.result() == 2


class TestTheEndOfTheInterpreter:
    @pytest.mark.parametrize(
        ("end", "status", "stderr"),
        [
            ("", 0, ""),
            ("sys.exit(7)", 7, ""),
            ("raise LookupError('mine')", 1, "LookupError: mine"),
            ("executor.shutdown(wait=False)", 0, ""),
            ("del executor", 0, ""),
        ],
    )
    def test_pending_work_is_finished(self, end: str, status: int, stderr: str) -> None:
        done = run_python(dedent(SUBMITS) + f"    {end}\n")
        assert sorted(done.stdout.split()) == ["one", "three", "two"]
        assert done.returncode == status
        assert done.stderr.strip().splitlines()[-1:] == ([stderr] if stderr else [])

    def test_an_executor_of_an_open_pool_too(self) -> None:
        done = run_python(
            """
            import time
            from processpool import ProcessPool
            pool = ProcessPool.from_dict(
                {"worker": {"kind": "python"}, "size": {"max": 1}, "timeouts": {"exit": "10ms"}}
            ).open()
            future = pool.executor().submit(time.sleep, 0.3)
            future.add_done_callback(lambda future: print(future.exception()))
            """
        )
        assert (done.stdout, done.stderr, done.returncode) == ("None\n", "", 0)

    def test_then_nothing_new_is_taken(self) -> None:
        done = run_python(
            """
            import atexit
            from processpool import ProcessPoolExecutor
            def late():
                try:
                    executor.submit(abs, -1)
                except RuntimeError as error:
                    print(error)
            atexit.register(late)
            executor = ProcessPoolExecutor(1)
            print(executor.submit(abs, -1).result())
            """
        )
        said = ["1", "cannot schedule new futures after interpreter shutdown"]
        assert (done.stdout.splitlines(), done.stderr) == (said, "")


class TestInterrupts:
    def test_of_the_with_statement_ends_what_runs(self, gate: Gate) -> None:
        executor = ProcessPoolExecutor(1)
        with pytest.raises(KeyboardInterrupt), executor:  # noqa: PT012
            future = executor.submit(functions.wait_at, str(gate.path))
            others = [executor.submit(functions.inc, n) for n in range(5)]
            gate.await_arrival()
            raise KeyboardInterrupt
        assert isinstance(future.exception(), CancelledError)
        assert all(other.done() for other in others)

    def test_of_a_map_ends_what_runs_and_the_executor_goes_on(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path, "here")
        done = _interrupted(
            gate,
            f"""
            from processpool import ProcessPoolExecutor
            def stuck(path):
                open(path).read()
            if __name__ == "__main__":
                with ProcessPoolExecutor(1) as executor:
                    try:
                        list(executor.map(stuck, [{str(gate.path)!r}] * 3))
                    except KeyboardInterrupt:
                        print("interrupted", executor.submit(abs, -1).result())
            """,
        )
        assert done == (0, "interrupted 1\n", "")

    def test_while_the_interpreter_waits_ends_everything(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path, "there")
        status, _, stderr = _interrupted(
            gate,
            f"""
            from processpool import ProcessPoolExecutor
            def stuck(path):
                open(path).read()
            if __name__ == "__main__":
                executor = ProcessPoolExecutor(1)
                executor.submit(stuck, {str(gate.path)!r})
            """,
        )
        assert status is not None
        assert "KeyboardInterrupt" in stderr


def _interrupted(gate: Gate, source: str) -> tuple[int, str, str]:
    """Run a program, and interrupt it when a worker of it stands at the gate."""
    process = subprocess.Popen(
        [sys.executable, "-c", dedent(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        gate.await_arrival()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        gate.close()
    return process.returncode, stdout, stderr
