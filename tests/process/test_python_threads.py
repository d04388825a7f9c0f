"""Many threads, callbacks, cancelling and killing, and forks of the pool's own process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from processpool import PoolClosed, ProcessPoolError
from tests.process.support import await_exit, eventually, pids, run_python
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processpool import ProcessPool
    from tests.process.support import Gate


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work(n)` in so many threads at once; what one of them raises is raised."""
    errors: list[BaseException] = []
    together = threading.Barrier(count)

    def run(n: int) -> None:
        try:
            together.wait()
            work(n)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class TestThreads:
    def test_everything_at_once(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(3)

        def work(n: int) -> None:
            chance = random.Random(n)
            for _ in range(15):
                m = chance.randrange(1000)
                match chance.randrange(5):
                    case 0:
                        assert pool.call(functions.inc, m) == m + 1
                    case 1:
                        futures = [pool.submit(functions.add, m, k) for k in range(20)]
                        assert [f.result() for f in futures] == [m + k for k in range(20)]
                    case 2:
                        assert pool.map(functions.inc, range(m)) == list(range(1, m + 1))
                    case 3:
                        answers = pool.imap_unordered(lambda x: x + n, range(50))
                        assert sorted(answers) == list(range(n, n + 50))
                    case _:
                        with pytest.raises(ValueError, match=f"^{n} {m}$"):
                            pool.call(functions.fail, f"{n} {m}")

        in_threads(16, work)

    def test_values_are_not_mixed_up(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)

        def work(n: int) -> None:
            for m in range(60):
                text = f"{n}-{m}" * (1 + 3000 * (m % 3))
                assert pool.call(functions.same, text) == text

        in_threads(16, work)

    def test_close_while_others_submit(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        futures: list[Future[int]] = []

        def work(n: int) -> None:
            try:
                for m in range(10_000):
                    futures.append(pool.submit(functions.inc, m))
                    if n == 0 and m == 50:
                        pool.close(0.5)
            except PoolClosed:
                pass

        in_threads(8, work)
        done, pending = wait(futures, timeout=20)
        assert not pending
        errors = {type(future.exception()) for future in done}
        assert errors <= {type(None), PoolClosed}

    def test_kill_while_others_map(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        started = threading.Event()

        def started_after(_: int) -> None:
            started.set()

        def work(n: int) -> None:
            if n == 0:
                started.wait()
                pool.kill()
                return
            answers = pool.imap(functions.inc, iter(range(10**9)))
            with pytest.raises(ProcessPoolError):
                deque(map(started_after, answers), maxlen=0)

        in_threads(6, work)


class TestCallbacks:
    def test_submit_from_a_callback(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        finished: Future[int] = Future()

        def more(future: Future[int]) -> None:
            value = future.result()
            if value < 100:
                pool.submit(functions.inc, value).add_done_callback(more)
            else:
                finished.set_result(value)

        pool.submit(functions.inc, 0).add_done_callback(more)
        assert finished.result(20) == 100

    def test_close_from_a_callback(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        future = pool.submit(functions.inc, 1)
        future.add_done_callback(lambda _: pool.close())
        assert future.result() == 2
        eventually(lambda: str(pool.state) == "closed")

    def test_after_a_crash(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool()
        again: Future[int] = Future()

        def retry(_: Any) -> None:
            pool.submit(functions.inc, 5).add_done_callback(lambda f: again.set_result(f.result()))

        pool.submit(functions.end, "SIGKILL").add_done_callback(retry)
        assert again.result(20) == 6


class TestCancel:
    def test_what_waits_is_never_run(
        self, python_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
    ) -> None:
        pool = python_pool()
        path = tmp_path / "log"
        first = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        futures = [pool.submit(functions.note, str(path), n) for n in range(40)]
        cancelled = {n for n, future in enumerate(futures) if n % 2 and future.cancel()}
        assert cancelled == set(range(1, 40, 2)), "none of them had started"
        assert not first.cancel()
        gate.open()
        for n, future in enumerate(futures):
            if n in cancelled:
                with pytest.raises(CancelledError):
                    future.result()
            else:
                assert future.result() == n
        assert path.read_text().split() == [str(n) for n in range(0, 40, 2)]

    def test_kill_what_runs(self, python_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = python_pool()
        pid = pool.call(functions.pid)
        future = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        assert future.kill()
        with pytest.raises(CancelledError):
            future.result(10)
        await_exit(pid)
        assert pool.call(functions.pid) != pid
        assert not future.kill()

    def test_kill_what_waits_behind_another(
        self, python_pool: Callable[..., ProcessPool], gate: Gate, tmp_path: Path
    ) -> None:
        pool = python_pool()
        path = tmp_path / "log"
        pid = pool.call(functions.pid)
        first = pool.submit(functions.wait_at, str(gate.path))
        gate.await_arrival()
        second = pool.submit(functions.note, str(path), 2)
        third = pool.submit(functions.pid)
        assert second.kill()
        with pytest.raises(CancelledError):
            second.result(10)
        gate.open()
        assert (first.result(), third.result()) == ("passed", pid)
        assert not path.exists()

    def test_at_any_moment(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        chance = random.Random(7)
        futures = []
        for n in range(600):
            future = pool.submit(functions.inc, n)
            futures.append(future)
            victim = chance.choice(futures[-30:])
            match chance.randrange(6):
                case 0:
                    victim.cancel()
                case 1 if n % 20 == 0:
                    victim.kill()
                case 2:
                    time.sleep(0.0002)  # so that others are met running
        for n, future in enumerate(futures):
            with suppress(CancelledError):
                assert future.result(20) == n + 1
        assert pool.map(functions.inc, range(100)) == list(range(1, 101))

    def test_stopping_a_map(self, python_pool: Callable[..., ProcessPool], gate: Gate) -> None:
        pool = python_pool()

        def stop() -> None:
            gate.await_arrival()
            pool.stop_map(pool.snapshot().maps[0].id)

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(CancelledError):
            pool.map(functions.wait_at, [str(gate.path)] * 10)
        thread.join()
        assert pool.call(functions.inc, 1) == 2


class TestForks:
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_the_childs_copy_is_inert(self, python_pool: Callable[..., ProcessPool]) -> None:
        pool = python_pool(2)
        pool.wait_ready()
        before = pids(pool)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            said = []
            for use in (
                lambda: pool.call(functions.inc, 1),
                lambda: pool.submit(functions.inc, 1),
                lambda: pool.map(functions.inc, [1]),
                lambda: pool.lease(),
            ):
                try:
                    use()
                    said.append("nothing")
                except PoolClosed as error:
                    said.append("parent" if "parent process" in str(error) else str(error))
                except BaseException as error:
                    said.append(repr(error))
            pool.close()
            pool.kill()
            os.write(write, " ".join(said).encode())
            os._exit(0)
        os.close(write)
        with open(read, "rb") as pipe:
            assert pipe.read() == b"parent parent parent parent"
        assert os.waitpid(child, 0)[1] == 0
        assert pids(pool) == before
        assert pool.map(functions.inc, range(100)) == list(range(1, 101))

    def test_a_child_that_ends_normally(self) -> None:
        done = run_python("""
            import os, sys
            from processpool import ProcessPool
            with ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}}) as pool:
                assert pool.call(abs, -1) == 1
                child = os.fork()
                if not child:
                    sys.exit(7)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
                assert pool.call(abs, -2) == 2
        """)
        assert (done.returncode, done.stderr) == (0, "")


PARENT = """
    import os, signal, sys, threading, time
    sys.path.insert(0, sys.argv[3])
    from processpool import ProcessPool
    from tests.process.workers import functions
    pool = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"min": 3, "max": 3}})
    pool.open().wait_ready()
    def stubborn(busy):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(os.getpid(), flush=True)
        if busy == "spinning":
            sum(range(10**10))
        elif busy == "sleeping":
            time.sleep(1000)
        elif busy == "nested":
            inner = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}}).open()
            print(inner.call(os.getpid), flush=True)
            inner.call(time.sleep, 1000)
    for worker in pool.snapshot().workers:
        print(worker.pid, flush=True)
    if sys.argv[1] != "idle":
        def run():
            pool.map(stubborn, [sys.argv[1]] * 3, echo=True, timeout=None)
        threading.Thread(target=run, daemon=True).start()
    else:
        print("idle\\nidle\\nidle", flush=True)
    if sys.argv[2]:
        sys.stdin.readline()
        exec(sys.argv[2])
    threading.Event().wait()
"""


class TestTheEndOfTheParent:
    @pytest.mark.parametrize(
        ("busy", "end"),
        [
            *((busy, "SIGKILL") for busy in ("idle", "sleeping", "spinning", "nested")),
            *((busy, "os._exit(3)") for busy in ("idle", "sleeping", "spinning", "nested")),
            *((busy, "SIGTERM") for busy in ("idle", "spinning")),
            *((busy, "os.abort()") for busy in ("idle", "spinning")),
        ],
    )
    def test_all_are_gone_within_two_seconds(self, busy: str, end: str) -> None:
        code = "" if end.startswith("SIG") else end
        root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        parent = subprocess.Popen(
            [sys.executable, "-c", dedent(PARENT), busy, code, root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert parent.stdin is not None
        assert parent.stdout is not None
        lines = [parent.stdout.readline() for _ in range(9 if busy == "nested" else 6)]
        offspring = {int(line) for line in lines if line.strip().isdigit()}
        assert len(offspring) == (6 if busy == "nested" else 3)
        if code:
            parent.stdin.write("now\n")
            parent.stdin.close()
        else:
            parent.send_signal(signal.Signals[end])
        parent.wait(30)
        began = time.monotonic()
        for pid in offspring:
            await_exit(pid, within=10)
        assert time.monotonic() - began < 2
        parent.stdout.close()
        parent.stdin.close()
