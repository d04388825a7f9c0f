"""Every way a pool can end: nothing stays, submits are refused or finished, exit codes are kept."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from processpool import PoolClosed, ProcessPool, ProcessPoolError
from processpool.core import events
from tests.process.support import (
    PUPPET,
    Gate,
    await_exit,
    eventually,
    is_gone,
    open_fds,
    pids,
    run_python,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRELUDE = f"""
import gc, os, signal, sys, threading, time
from processpool import PoolClosed, ProcessPool
def make(workers=1, **sections):
    worker = {{"kind": "command", "command": {PUPPET!r}}}
    size = {{"min": workers, "max": workers}}
    return ProcessPool.from_dict({{"worker": worker, "size": size, **sections}})
"""


class TestWith:
    def test_leaving_it_finishes_the_work(self, make_pool: Callable[..., ProcessPool]) -> None:
        with make_pool(opened=False) as pool:
            workers = pids(pool)
            futures = [pool.submit(f"time.sleep(0.01); answer({n})") for n in range(20)]
        assert [future.result(0) for future in futures] == [str(n) for n in range(20)]
        assert all(map(is_gone, workers))
        assert pool.state == "closed"
        assert pool.snapshot().workers == ()

    def test_an_exception_does_not_wait_for_it(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        futures: list[Future[str]] = []

        def use() -> None:
            with make_pool(opened=False) as pool:
                futures.append(pool.submit(f"wait({str(gate.path)!r})"))
                futures.append(pool.submit("answer()"))
                gate.await_arrival()
                raise KeyError

        with pytest.raises(KeyError):
            use()
        for future in futures:
            with pytest.raises(PoolClosed):
                future.result(0)

    def test_a_closed_pool_is_not_opened_again(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        pool.close()
        with pytest.raises(PoolClosed), pool:
            pass


class TestClose:
    def test_the_worker_gets_the_exit_message_first(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = make_pool(
            [
                *PUPPET,
                "framed",
                f"import atexit; atexit.register(lambda: open({str(tmp_path / 'left')!r}, 'w'))",
            ]
        )
        told: list[events.Event] = []
        pool.events(told.append)
        pool.close()
        assert (tmp_path / "left").exists()
        ended = next(event for event in told if isinstance(event, events.WorkerExited))
        assert (ended.exitcode, ended.reason) == (0, "closed")

    @pytest.mark.parametrize(
        ("start", "exitcode"),
        [
            ("signal.signal(signal.SIGTERM, lambda *_: os._exit(9)); time.sleep(60)", 9),
            ("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)", -signal.SIGKILL),
        ],
        ids=["until SIGTERM", "until SIGKILL"],
    )
    def test_a_worker_that_ignores_the_exit_message(
        self, make_pool: Callable[..., ProcessPool], start: str, exitcode: int
    ) -> None:
        pool = make_pool(timeouts={"exit": 1.0})
        told: list[events.Event] = []
        pool.events(told.append)
        pool.submit(f"answer(); {start}").result()
        pool.close()
        ended = next(event for event in told if isinstance(event, events.WorkerExited))
        assert ended.exitcode == exitcode

    def test_a_grandchild_that_holds_the_pipes_is_not_waited_for(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        child = int(pool.call("answer(os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '1000'))"))
        pool.close()
        await_exit(child)

    def test_a_grandchild_in_a_session_of_its_own_does_not_hold_it_up(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool()
        child = int(
            pool.call(
                "import subprocess; answer(subprocess.Popen(['sleep', '1000'], "
                "start_new_session=True).pid)"
            )
        )
        pool.close()
        assert not is_gone(child)
        os.kill(child, signal.SIGKILL)

    def test_after_the_grace_the_rest_is_refused(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(worker={"protocol": {"kind": "framed", "pipeline": 3}})
        futures = [pool.submit(f"wait({str(gate.path)!r}); answer()") for _ in range(6)]
        gate.await_arrival()
        pool.close(grace=0.1)
        for future in futures:
            with pytest.raises(PoolClosed):
                future.result(0)

    def test_without_a_limit_it_waits(
        self, make_pool: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make_pool(timeouts={"exit": 0.1})
        future = pool.submit(f"wait({str(gate.path)!r}); answer(1)")
        closing = threading.Thread(target=pool.close, args=(None,))
        closing.start()
        eventually(lambda: pool.state == "closing")
        with pytest.raises(PoolClosed):
            pool.submit("answer()")
        gate.open()
        assert future.result(30) == "1"
        closing.join()

    def test_twice_and_from_many_threads(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size=2)
        future = pool.submit("time.sleep(0.1); answer(1)")
        threads = [threading.Thread(target=pool.close) for _ in range(8)]
        threads += [threading.Thread(target=pool.kill) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        pool.close()
        assert pool.state == "closed"
        assert future.done()

    def test_never_opened(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(opened=False)
        pool.close()
        pool.kill()
        assert pool.state == "new"

    def test_against_submits(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size=2)
        futures: list[Future[str]] = []

        def submit() -> None:
            try:
                while True:
                    futures.append(pool.submit("answer(1)"))
            except PoolClosed:
                pass

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(futures) > 50)
        pool.close()
        for thread in threads:
            thread.join(30)
        assert all(future.done() for future in futures)

    def test_against_calls(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size=2)
        ends: list[BaseException] = []

        def call() -> None:
            try:
                while True:
                    pool.call("answer(1)")
            except BaseException as error:
                ends.append(error)

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: pool.snapshot().finished > 50)
        pool.kill()
        for thread in threads:
            thread.join(30)
        assert [type(error) for error in ends] == [PoolClosed] * 4, ends

    def test_against_crashes(self, make_pool: Callable[..., ProcessPool]) -> None:
        for _ in range(10):
            pool = make_pool(size=2, restart={"backoff": [0, 0]})
            futures = [pool.submit("die()") for _ in range(20)]
            pool.close()
            assert all(future.done() for future in futures)

    @pytest.mark.parametrize("how", ["close", "kill"])
    def test_from_a_futures_callback(self, make_pool: Callable[..., ProcessPool], how: str) -> None:
        pool = make_pool()
        workers = pids(pool)
        done: Future[None] = Future()

        def end(_: object) -> None:
            getattr(pool, how)()
            done.set_result(None)

        pool.submit("answer()").add_done_callback(end)
        done.result(30)
        await_exit(workers[0])
        eventually(lambda: pool.state == "closed")

    def test_from_an_events_callback(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool()
        pool.events(lambda event: pool.close() if isinstance(event, events.ItemsFinished) else None)
        assert pool.submit("answer(1)").result() == "1"
        eventually(lambda: pool.state == "closed")

    def test_kill_is_quick(self, make_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = make_pool(size=2, timeouts={"exit": 60})
        futures = [pool.submit(f"wait({str(gate.path)!r})") for _ in range(5)]
        gate.await_arrival()
        began = time.monotonic()
        pool.kill()
        assert time.monotonic() - began < 30
        for future in futures:
            with pytest.raises(PoolClosed):
                future.result(0)

    def test_kill_while_calls_wait_for_answers(self, make_pool: Callable[..., ProcessPool]) -> None:
        pool = make_pool(size=3)
        pool.wait_ready()
        ends: list[BaseException] = []

        def call() -> None:
            try:
                pool.call("time.sleep(60)")
            except BaseException as error:
                ends.append(error)

        threads = [threading.Thread(target=call) for _ in range(3)]
        for thread in threads:
            thread.start()
        eventually(lambda: pool.num_running == 3)
        pool.kill()
        for thread in threads:
            thread.join(30)
        assert [type(error) for error in ends] == [PoolClosed] * 3, ends

    def test_many_times_over(self) -> None:
        gc.collect()
        before = open_fds()
        for number in range(30):
            worker = {"kind": "command", "command": PUPPET}
            config = {"worker": worker, "size": {"min": 1, "max": 2}, "timeouts": {"exit": 600}}
            with ProcessPool.from_dict(config) as pool:
                if number % 3:
                    assert pool.map(["answer(1)"] * 3) == ["1"] * 3
                else:
                    with pytest.raises(ProcessPoolError):
                        pool.call("die()")
        gc.collect()
        assert len(open_fds()) == len(before)


class TestInterpreterExit:
    def run(self, source: str, *, status: int = 0) -> tuple[str, str]:
        done = run_python(PRELUDE + source)
        assert done.returncode == status, done.stderr
        return done.stdout, done.stderr

    def test_idle(self, tmp_path: Path) -> None:
        left = str(tmp_path / "left")
        stdout, stderr = self.run(f"""
pool = make().open()
pool.call("import atexit; atexit.register(lambda: open({left!r}, 'w')); answer()")
print(pool.snapshot().workers[0].pid)
""")
        assert stderr == ""
        assert is_gone(int(stdout))
        assert os.path.exists(left), "the worker was asked to exit, and did so in good order"

    def test_work_that_is_under_way_is_finished(self) -> None:
        stdout, stderr = self.run("""
pool = make().open()
for n in range(5):
    pool.submit(f"time.sleep(0.05); answer({n})").add_done_callback(lambda f: print(f.result()))
""")
        assert (stdout, stderr) == ("0\n1\n2\n3\n4\n", "")

    def test_work_that_takes_too_long_is_refused_loudly(self) -> None:
        stdout, stderr = self.run("""
pool = make(timeouts={"exit": 0.2}).open()
pool.submit("time.sleep(60)").add_done_callback(lambda f: print(type(f.exception()).__name__))
""")
        assert stdout == "PoolClosed\n"
        assert "the interpreter ends" in stderr
        assert len(stderr.splitlines()) == 1

    def test_after_an_exception(self) -> None:
        stdout, stderr = self.run(
            """
pool = make().open()
print(pool.snapshot().workers[0].pid)
raise KeyError("mine")
""",
            status=1,
        )
        assert is_gone(int(stdout))
        assert stderr.splitlines()[-1] == "KeyError: 'mine'"
        assert stderr.count("Traceback") == 1

    @pytest.mark.parametrize("end", ["sys.exit(7)", "os._exit(7)"])
    def test_the_exit_code_is_kept(self, end: str) -> None:
        stdout, stderr = self.run(
            f"""
pool = make(2).open()
print(pool.snapshot().workers[0].pid, flush=True)
{end}
""",
            status=7,
        )
        assert stderr == ""
        await_exit(int(stdout))

    def test_in_the_middle_of_a_with(self) -> None:
        stdout, stderr = self.run(
            """
with make() as pool:
    print(pool.call("answer(1)"))
    sys.exit(3)
""",
            status=3,
        )
        assert (stdout, stderr) == ("1\n", "")

    def test_a_generator_that_was_abandoned(self) -> None:
        stdout, stderr = self.run("""
pool = make().open()
running = pool.imap(f"answer({n})" for n in range(1000))
print(next(running), next(running))
""")
        assert (stdout, stderr) == ("0 1\n", "")

    def test_a_lease_that_was_kept(self) -> None:
        stdout, stderr = self.run("""
pool = make(timeouts={"exit": 0.2}).open()
lease = pool.lease()
lease.send("answer(1)")
print(lease.read_stdout())
""")
        assert (stdout, stderr) == ("1\n", "")

    def test_a_thread_that_still_submits(self) -> None:
        stdout, stderr = self.run("""
pool = make().open()
def work():
    try:
        while True:
            pool.submit("answer(1)").result()
    except PoolClosed:
        print("refused")
threading.Thread(target=work).start()
time.sleep(0.1)
""")
        assert (stdout, stderr) == ("refused\n", "")

    def test_a_pool_that_was_never_opened_or_is_closed(self) -> None:
        stdout, stderr = self.run("""
never = make()
closed = make().open()
closed.close()
""")
        assert (stdout, stderr) == ("", "")
