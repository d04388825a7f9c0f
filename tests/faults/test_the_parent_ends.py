"""The parent ends: nothing of the pool stays, and what was submitted is finished or refused aloud.

What is tested elsewhere:
- the interpreter ends without close, over a pool of commands → tests.process.test_close
- executors at the end of the interpreter, or dropped → tests.process.test_executor_shutdown
- what a fork says of its copy of the pool → tests.process.test_pool
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from processpool import ProcessPool, WorkerDied
from tests.faults.conftest import KINDS
from tests.process.support import await_exit, eventually, is_gone, pids, run_python, slowness
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARENT = """
    import json, os, signal, sys, threading
    from processpool import ProcessPool
    worker, prepare, states, end = map(json.loads, sys.argv[1:])
    size = {"min": len(states), "max": len(states)}
    pool = ProcessPool.from_dict({"worker": worker, "size": size}).open()
    pool.wait_ready()
    for state in states:
        future = pool.submit(prepare + state)
    future.result()  # the last one is idle
    sys.stdin.readline()
    exec(end)
    threading.Event().wait()
"""

PREPARE = """
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
child = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "1000")
def note(*numbers):
    with open({path!r}, "a") as file:
        file.write(" ".join(map(str, numbers)) + " .\\n")
"""
"""In every worker: it ignores what it can, and has a child of its own, in its process group."""

SLEEPS = "note(os.getpid(), child); time.sleep(1000)"
SPINS = "note(os.getpid(), child); sum(range(10**18))"
STOPS = "note(os.getpid(), child); os.kill(os.getpid(), signal.SIGSTOP)"
NESTS = """
from processpool import ProcessPool
inner = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"min": 2, "max": 2}}).open()
inner.wait_ready()
note(os.getpid(), child, *(worker.pid for worker in inner.snapshot().workers))
inner.map(time.sleep, [1000] * 4)
"""
IDLES = "note(os.getpid(), child); answer()"
STATES = {
    "foreign": [SLEEPS, SPINS, STOPS, IDLES],
    "serve": [SLEEPS, SPINS, STOPS, NESTS, IDLES],
    "python": [SLEEPS, SPINS, STOPS, NESTS, IDLES],
}


class Parent:
    """A process whose pool has workers that are idle, sleep, spin in C, are stopped, have pools."""

    def __init__(self, kind: str, end: str, path: Path) -> None:
        path.touch()
        prepare = PREPARE.format(path=str(path))
        self.offspring: list[int] = []
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                dedent(PARENT),
                *map(json.dumps, (KINDS[kind], prepare, STATES[kind], end)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        workers = len(STATES[kind])
        eventually(lambda: path.read_text().count(".") == workers or self.process.poll(), str(path))
        self.offspring = [int(word) for word in path.read_text().split() if word != "."]
        self.offspring += self._children()  # the workers again, and the guard

    def _children(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def go_on(self) -> None:
        """Let it end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def await_the_end_of_all(self) -> float:
        """Wait until nothing is left; how many seconds that took after the parent's own end."""
        self.process.wait(30)
        began = time.monotonic()
        for pid in self.offspring:
            await_exit(pid)
        return time.monotonic() - began

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        for pid in self.offspring:
            if not is_gone(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def parents() -> Iterator[list[Parent]]:
    made: list[Parent] = []
    yield made
    for parent in made:
        parent.close()


class TestItIsEnded:
    @pytest.mark.parametrize(
        ("kind", "end", "status"),
        [
            *((kind, "SIGKILL", -signal.SIGKILL) for kind in KINDS),
            ("python", "SIGTERM", -signal.SIGTERM),
            ("python", "os._exit(3)", 3),
            ("python", "import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
            ("foreign", "os.abort()", -signal.SIGABRT),
            ("foreign", "os.killpg(0, signal.SIGHUP)", -signal.SIGHUP),
        ],
    )
    def test_idle_sleeping_spinning_stopped_and_nested_workers_are_gone_within_two_seconds(
        self, parents: list[Parent], tmp_path: Path, kind: str, end: str, status: int
    ) -> None:
        parent = Parent(kind, end, tmp_path / "pids")
        parents.append(parent)
        assert len(set(parent.offspring)) == {"foreign": 9, "serve": 13, "python": 13}[kind]
        assert not any(map(is_gone, parent.offspring))
        if end.startswith("SIG"):
            parent.process.send_signal(signal.Signals[end])
        else:
            parent.go_on()
        assert parent.await_the_end_of_all() < 2 * slowness()
        assert parent.process.returncode == status

    def test_a_worker_that_is_killed_takes_its_pool_along(
        self, python_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        pool = python_pool()
        path = tmp_path / "pids"

        def open_pool() -> None:
            inner = ProcessPool.from_dict({"worker": {"kind": "python"}, "size": {"max": 1}}).open()
            functions.note(str(path), inner.call(functions.pid))
            inner.call(time.sleep, 1000)

        future = pool.submit(open_pool)
        eventually(lambda: path.exists() and path.read_text().endswith("\n"))
        os.kill(pool.snapshot().workers[0].pid or 0, signal.SIGKILL)
        assert isinstance(future.exception(10), WorkerDied)
        await_exit(int(path.read_text()), within=2 * slowness())


KILLED_IN_A_START = """
    import json, os, signal, sys
    from processpool import ProcessPool
    from processpool.system.guard import Guard

    def add(guard, group):
        print(group, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    Guard.add = add
    worker, limits = map(json.loads, sys.argv[1:])
    pool = ProcessPool.from_dict({"worker": worker, "limits": limits, "size": {"min": 3, "max": 3}})
    pool.open()
"""
"""It ends after the start of a worker, before its guard is told of that."""


class TestItIsEndedDuringAStart:
    @pytest.mark.parametrize("limits", [{}, {"open_files": 200, "nice": 1}])
    @pytest.mark.parametrize("kind", ["sleep", "sleep with nothing", "python"])
    def test_the_worker_is_gone_within_two_seconds(
        self, tmp_path: Path, kind: str, limits: dict[str, int]
    ) -> None:
        (tmp_path / "spinning.py").write_text("def spin(): sum(range(10**18))\n")
        sleeps = {"kind": "command", "command": ["sleep", "1000"]}
        spins = {"kind": "python", "path": [str(tmp_path)], "setup": "spinning:spin"}
        workers: dict[str, dict[str, object]] = {
            "sleep": {**sleeps},
            "sleep with nothing": {**sleeps, "inherit_env": False},
            "python": {**spins},
        }
        worker = workers[kind]
        done = run_python(KILLED_IN_A_START, arguments=[json.dumps(worker), json.dumps(limits)])
        assert done.returncode == -signal.SIGKILL
        pid = int(done.stdout)
        try:
            await_exit(pid, within=2 * slowness())
        finally:
            if not is_gone(pid):
                os.kill(pid, signal.SIGKILL)


OPEN = """
import sys, threading, time
from processpool import ProcessPool

def slow(seconds):
    time.sleep(seconds)
    print("done", file=sys.stderr)

def make(**sections):
    return ProcessPool.from_dict(
        {"worker": {"kind": "python"}, "size": {"min": 1, "max": 1}, **sections}
    ).open()

def tell(future):
    print(type(future.exception()).__name__)

if __name__ == "__main__":
    pool = make()
"""


def run(*lines: str) -> tuple[int, str, str]:
    done = run_python(OPEN + "".join(f"    {line}\n" for line in lines))
    return done.returncode, done.stdout, done.stderr


class TestTheInterpreterEnds:
    """Without a close."""

    def test_idle_pools_are_closed(self) -> None:
        assert run("other = make()") == (0, "", "")

    @pytest.mark.parametrize(
        ("end", "status"), [("sys.exit(5)", 5), ("sys.exit('no')", 1), ("raise ValueError", 1)]
    )
    def test_the_exit_status_is_kept(self, end: str, status: int) -> None:
        assert run("pool.submit(abs, 1)", end)[0] == status

    def test_pending_work_is_finished_within_the_grace(self) -> None:
        lines = [f"pool.submit(slow, {n / 100}).add_done_callback(tell)" for n in range(5)]
        assert run(*lines) == (0, "NoneType\n" * 5, "")

    def test_what_takes_longer_is_cancelled_with_a_warning(self) -> None:
        status, stdout, stderr = run(
            "pool = make(name='mine', timeouts={'exit': '0.2s'})",
            "pool.submit(slow, 60).add_done_callback(tell)",
            "pool.submit(slow, 60).add_done_callback(tell)",
        )
        assert status == 0
        assert stdout == "PoolClosed\n" * 2
        assert "pool 'mine' had still 2 items after 0.2 s: they are cancelled" in stderr
        assert len(stderr.splitlines()) == 1

    def test_a_pool_that_was_dropped_finishes_too(self) -> None:
        lines = ["pool.submit(slow, 0.1).add_done_callback(tell)", "del pool"]
        assert run(*lines) == (0, "NoneType\n", "")

    def test_a_paused_pool_goes_on_to_its_end(self) -> None:
        lines = ["pool.pause()", "pool.executor().submit(slow, 0).add_done_callback(tell)"]
        lines += ["pool.submit(slow, 0).add_done_callback(tell)"]
        assert run(*lines) == (0, "NoneType\n" * 2, "")

    def test_a_daemon_thread_in_a_call_does_not_hold_it_up(self) -> None:
        status, _, stderr = run(
            "pool = make(timeouts={'exit': '0.2s'})",
            "threading.Thread(target=pool.call, args=(slow, 60), daemon=True).start()",
            "while not pool.num_running: time.sleep(0.001)",
        )
        assert status == 0
        assert "done" not in stderr

    def test_a_forked_child_waits_for_nothing_of_its_parent(self) -> None:
        status, stdout, stderr = run(
            "import os, warnings",
            "warnings.simplefilter('ignore')",
            "future = pool.executor().submit(time.sleep, 600)",
            "child = os.fork()",
            "if not child: sys.exit(3)",
            "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), future.done())",
            "future.kill()",
        )
        assert (status, stdout, stderr) == (0, "3 False\n", "")


class TestDropped:
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_workers_go_and_finished_results_stay(self, kind: str) -> None:
        size = {"min": 2, "max": 2}
        pool = ProcessPool.from_dict({"worker": KINDS[kind], "size": size}).open()
        pool.wait_ready()
        workers = pids(pool)
        done = pool.submit("answer(1)")
        assert done.result() == "1"
        late = pool.submit("time.sleep(0.2); answer(2)")
        gone = weakref.ref(pool)
        del pool
        gc.collect()
        assert gone() is None
        for pid in workers:
            await_exit(pid)
        assert (done.result(0), late.result(30)) == ("1", "2")


FORKS = """
    import gc, json, os, sys, threading, warnings
    from processpool import PoolClosed, ProcessPool
    warnings.simplefilter("ignore", DeprecationWarning)
    worker, end, gate = json.loads(sys.argv[1]), *sys.argv[2:]
    WAIT = f"[time.sleep(0.01) for _ in iter(lambda: os.path.exists({gate!r}), True)]; answer(39)"
    with ProcessPool.from_dict({"worker": worker, "size": {"min": 2, "max": 2}}) as pool:
        pool.wait_ready()
        before = [worker.pid for worker in pool.snapshot().workers]
        def work():
            mapped.extend(pool.map([f"answer({n})" for n in range(1000)]))
        mapped = []
        thread = threading.Thread(target=work)
        thread.start()
        futures = [pool.submit(f"time.sleep(0.005); answer({n})") for n in range(39)]
        futures.append(pool.submit(WAIT))
        statuses = []
        for _ in range(2):
            child = os.fork()
            if not child:
                for use in (
                    lambda: pool.call("answer()"),
                    lambda: pool.submit("answer()"),
                    lambda: pool.map(["answer()"]),
                    lambda: list(pool.imap(["answer()"])),
                    lambda: pool.lease(),
                    lambda: pool.wait_ready(),
                    lambda: futures[-1].result(),
                    lambda: futures[-1].exception(5),
                ):
                    try:
                        use()
                    except PoolClosed as error:
                        assert "belongs to the parent process" in str(error), error
                    else:
                        os._exit(1)
                exec(end)
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        open(gate, "w").close()
        thread.join()
        assert [future.result() for future in futures] == [str(n) for n in range(40)]
        assert mapped == [str(n) for n in range(1000)]
        assert [worker.pid for worker in pool.snapshot().workers] == before
        print(*statuses)
"""


class TestFork:
    @pytest.mark.parametrize("kind", ["foreign", "python"])
    @pytest.mark.parametrize(
        ("end", "status"),
        [
            ("pool.close(); pool.kill(); del pool; gc.collect(); sys.exit(7)", 7),
            ("os.kill(os.getpid(), 9)", -9),
        ],
    )
    def test_a_child_in_the_midst_of_work_kills_nobody_and_takes_no_result(
        self, kind: str, end: str, status: int, tmp_path: Path
    ) -> None:
        gate = str(tmp_path / "gate")
        done = run_python(FORKS, arguments=[json.dumps(KINDS[kind]), end, gate])
        assert (done.stdout, done.stderr) == (f"{status} {status}\n", "")
        assert done.returncode == 0

    @pytest.mark.parametrize("kind", ["foreign", "python"])
    def test_a_child_that_leaves_the_with_waits_for_nothing(self, kind: str) -> None:
        done = run_python(
            """
            import json, os, sys, warnings
            from processpool import PoolClosed, ProcessPool
            warnings.simplefilter("ignore", DeprecationWarning)
            worker, size = json.loads(sys.argv[1]), {"min": 1, "max": 1}
            with ProcessPool.from_dict({"worker": worker, "size": size}) as pool:
                future = pool.submit("time.sleep(1); answer(1)")
                queued = pool.submit("answer(2)")
                child = os.fork()
                if child:
                    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
                    assert not queued.done(), "the child has waited for its parent's work"
            if child:
                print(future.result(), queued.result())
            """,
            arguments=[json.dumps(KINDS[kind])],
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "1 2\n", "")
