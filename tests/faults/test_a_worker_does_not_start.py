"""A worker does not start: one error that blames the right thing, nothing leaked, no storm.

What is tested elsewhere:
- what exactly is blamed, for every way in which a program cannot run → tests.process.test_process
- what a failing import or setup of a Python worker says → tests.process.test_python_start
- a program that ends at once, a failed start among good ones, a broken pool that `reset` mends, no
  descriptors for a command → tests.process.test_pool
- a Python worker prints before it is ready → tests.process.test_python_start; a worker under
  `serve` → tests.process.test_serve
- functions of `__main__` in a script without a guard, with `-c` and from standard input →
  tests.process.test_python_forms; notebooks → the notebooks themselves
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from processpool import PoolBroken, PoolClosed, ProcessPool, WorkerStartFailed
from processpool.core import events
from tests.faults.conftest import KINDS
from tests.process.support import (
    PUPPET,
    Gate,
    await_exit,
    eventually,
    open_fds,
    pids,
    run_python,
    slowness,
    states,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def beginning_with(kind: str, statement: str, folder: Path) -> dict[str, Any]:
    """The declaration of a worker that first runs this code, before it is ready."""
    if kind == "foreign":
        return {"kind": "command", "command": [*PUPPET, "framed", statement]}
    if kind == "serve":
        command = KINDS["serve"]["command"]
        return {"kind": "command", "command": [*command, statement]}
    header = "import os, signal, sys, time\n"
    body = "\n".join(f"    {line}" for line in statement.splitlines())
    (folder / "beginning.py").write_text(f"{header}def setup():\n{body}\n")
    path = [*KINDS["python"]["path"], str(folder)]
    return KINDS["python"] | {"setup": "beginning:setup", "path": path}


def noted(path: Path) -> str:
    """Code that leaves the number of the process in a file."""
    return f"open({str(path)!r}, 'a').write(f'{{os.getpid()}}\\n')"


class TestNothingToRun:
    @pytest.mark.parametrize(
        ("worker", "blame"),
        [
            ({"kind": "command", "command": ["no-such-program"]}, "no such program in PATH"),
            ({"kind": "command", "command": ["./missing.sh"]}, "there is no file"),
            ({"kind": "command", "command": ["./plain.sh"]}, "is not executable; run chmod"),
            ({"kind": "command", "command": ["cat"], "cwd": "gone"}, "working directory"),
            ({"kind": "python", "cwd": "gone"}, "working directory"),
        ],
    )
    def test_one_error_blames_the_right_thing(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, worker: dict[str, Any], blame: str
    ) -> None:
        (tmp_path / "plain.sh").write_text("#!/bin/sh\ncat\n")
        cwd = str(tmp_path / worker.get("cwd", "."))
        declared = {"worker": worker | {"cwd": cwd}, "size": {"min": 3, "max": 3}}
        pool = ProcessPool.from_dict(declared)
        before = open_fds()
        with pytest.raises(WorkerStartFailed, match=blame):
            pool.open()
        assert pool.state == "closed"
        assert pool.snapshot().workers == ()
        assert open_fds() == before
        assert caplog.text == "", "whoever opens the pool is told by the exception alone"

    def test_a_program_that_vanishes_later_takes_no_slot_and_no_descriptor(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -IS '{PUPPET[-1]}'\n")
        program.chmod(0o755)
        pool = make_pool([str(program)], size=2, restart={"max_failures": 3, "backoff": [0, 0]})
        pool.wait_ready()
        before = len(open_fds())
        hidden = program.rename(tmp_path / "hidden")
        for pid in pids(pool):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: pool.state == "broken")
        with pytest.raises(PoolBroken, match=f"there is no file '{program}'"):
            pool.call("answer()")
        assert pids(pool) == []
        assert len(open_fds()) < before
        hidden.rename(program)
        pool.reset()
        pool.wait_ready()
        first, second = Gate(tmp_path, "first"), Gate(tmp_path, "second")
        both = [pool.submit(f"wait({str(gate.path)!r}); answer(1)") for gate in (first, second)]
        first.await_arrival()
        second.await_arrival()
        first.close()
        second.close()
        assert [future.result(30) for future in both] == ["1", "1"]
        assert len(open_fds()) == before


class TestItFailsBeforeItIsReady:
    def test_an_import_error_is_shown_in_its_own_words_once_and_at_the_start(
        self, kind: str, tmp_path: Path
    ) -> None:
        worker = beginning_with(kind, "import no_such_module_at_all", tmp_path)
        done = run_python(
            """
            import json, sys
            from processpool import ProcessPool
            worker = json.loads(sys.argv[1])
            pool = ProcessPool.from_dict({"worker": worker, "size": {"min": 3, "max": 3}})
            print("built")
            with pool:
                print("open")
            """,
            arguments=[json.dumps(worker)],
        )
        assert (done.returncode, done.stdout) == (1, "built\n")
        said = "ModuleNotFoundError: No module named 'no_such_module_at_all'"
        assert done.stderr.count(said) == 1
        assert done.stderr.count(f"| {said}") == 1
        assert "exited with status 1 before it was ready" in done.stderr
        assert "  | Traceback (most recent call last):" in done.stderr

    def test_an_exit_at_once_tells_the_status_and_the_tail_of_stderr(
        self, kind: str, tmp_path: Path
    ) -> None:
        worker = beginning_with(kind, "os.write(2, b'no licence\\n' * 1000); os._exit(7)", tmp_path)
        pool = ProcessPool.from_dict({"worker": worker})
        with pytest.raises(WorkerStartFailed, match="exited with status 7 before it was") as caught:
            pool.open()
        assert str(caught.value).endswith("  | no licence")
        assert len(str(caught.value)) < 10_000

    def test_never_ready_ends_with_the_start_timeout_whatever_it_ignores(
        self, kind: str, tmp_path: Path
    ) -> None:
        ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        hang = ignore + "os.write(2, b'waiting for the licence server')\nwhile True: pass"
        worker = beginning_with(kind, hang, tmp_path)
        pool = ProcessPool.from_dict({"worker": worker, "timeouts": {"start": 1.5}})
        with pytest.raises(WorkerStartFailed, match=r"was not ready within 1\.5 s") as caught:
            pool.open()
        assert "  | waiting for the licence server" in str(caught.value)
        found = re.search(r"\(pid (\d+)\)", str(caught.value))
        assert found is not None
        await_exit(int(found[1]))
        assert pool.state == "closed"

    def test_closing_while_it_starts_and_ignores_sigterm(self, kind: str, tmp_path: Path) -> None:
        started = tmp_path / "started"
        hang = f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{noted(started)}\nwhile True: pass"
        worker = beginning_with(kind, hang, tmp_path)
        pool = ProcessPool.from_dict({"worker": worker, "size": {"min": 0, "max": 1}}).open()
        future = pool.submit("answer()")
        (pid,) = eventually(lambda: started.exists() and started.read_text().split())
        assert states(pool) == ["starting"]
        began = time.monotonic()
        pool.close(grace=0.2)
        assert time.monotonic() - began < 15
        with pytest.raises(PoolClosed):
            future.result(0)
        await_exit(int(pid), within=slowness())


class TestItPrintsBeforeTheStart:
    def test_the_bytes_are_shown_and_what_stdout_is_for(self) -> None:
        done = run_python(
            """
            from processpool import ProcessPool
            worker = {"kind": "command", "command": ["sh", "-c", "echo Loading...; exec cat"]}
            ProcessPool.from_dict({"worker": worker}).open()
            """
        )
        assert done.returncode == 1
        assert r"b'Loading...\n'" in done.stderr
        assert "standard output is for answers: write everything else to standard error" in (
            done.stderr
        )
        assert "wrote to its standard output before it was asked anything" in done.stderr


class TestCrashLoop:
    def test_it_backs_off_then_breaks_with_the_cause_and_without_a_storm(
        self, kind: str, tmp_path: Path
    ) -> None:
        bad, starts = tmp_path / "bad", tmp_path / "starts"
        statement = (
            f"if os.path.exists({str(bad)!r}):\n    {noted(starts)}\n    sys.exit('no licence')"
        )
        worker = beginning_with(kind, statement, tmp_path)
        restart = {"max_failures": 3, "within": 60, "backoff": [0.1, 0.2]}
        pool = ProcessPool.from_dict(
            {"worker": worker, "size": {"min": 1, "max": 1}, "restart": restart}
        ).open()
        told: list[events.Event] = []
        pool.events(told.append)
        bad.touch()
        os.kill(pids(pool)[0], signal.SIGKILL)
        eventually(lambda: any(isinstance(event, events.PoolBroke) for event in told))
        assert pool.state == "broken"
        with pytest.raises(PoolBroken, match=r"mend the cause, then pool\.reset") as caught:
            pool.call("answer()")
        assert "no licence" in str(caught.value)
        assert isinstance(caught.value.__cause__, WorkerStartFailed)
        failed = [event.at for event in told if isinstance(event, events.WorkerFailedToStart)]
        started = [event.at for event in told if isinstance(event, events.WorkerStarted)]
        assert len(failed) == len(started) == len(starts.read_text().split()) == 4
        pauses = [began - ended for ended, began in zip(failed, started[1:], strict=False)]
        for pause, least in zip(pauses, (0.1, 0.2, 0.2), strict=True):
            assert pause > least * 0.85
        bad.unlink()
        pool.reset()
        assert pool.call("answer('mended')") == "mended"
        assert pool.state == "open"
        pool.close()

    def test_one_healthy_start_mends_a_broken_pool(
        self, make_pool: Callable[..., ProcessPool], tmp_path: Path
    ) -> None:
        bad, first = tmp_path / "bad", tmp_path / "first"
        statement = f"""
if os.path.exists({str(bad)!r}):
    try:
        os.mkdir({str(first)!r})
    except FileExistsError:
        sys.exit('no licence')
    while os.path.exists({str(bad)!r}): pass
"""
        pool = make_pool(
            [*PUPPET, "framed", statement],
            size=2,
            restart={"max_failures": 1, "within": 60, "backoff": [0, 0]},
        )
        pool.wait_ready()
        bad.touch()
        for pid in pids(pool):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: pool.state == "broken")
        eventually(lambda: states(pool) == ["starting"])
        with pytest.raises(PoolBroken):
            pool.submit("answer()")
        bad.unlink()
        eventually(lambda: pool.state == "open")
        assert pool.call("answer(1)") == "1"
        eventually(lambda: states(pool) == ["idle"] * 2)

    def test_an_item_that_finds_none_is_told_why(
        self, make_pool: Callable[..., ProcessPool]
    ) -> None:
        pool = make_pool(
            ["sh", "-c", "echo 'no licence' >&2; exit 3"],
            size={"min": 0, "max": 2},
            restart={"max_failures": 2, "backoff": [0, 0.01]},
        )
        futures = [pool.submit("x") for _ in range(20)]
        for future in futures:
            with pytest.raises(PoolBroken, match="no licence"):
                future.result(30)


SCARCE = """
    import errno, json, logging, os, resource, sys, threading, time
    from processpool import ProcessPool
    logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
    worker = json.loads(sys.argv[1])

    def make(size=1):
        size = {"min": size, "max": size}
        restart = {"backoff": [0.01, 0.1], "max_failures": 10000}
        return ProcessPool.from_dict({"worker": worker, "size": size, "restart": restart})

    def eventually(fact):
        end = time.monotonic() + 30
        while not fact():
            assert time.monotonic() < end, possessions()
            time.sleep(0.01)

    def possessions():
        children = []
        for task in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{task}/children") as file:
                    children += file.read().split()
            except OSError:
                pass
        threads = {thread.name for thread in threading.enumerate()} - {"processpool-callbacks"}
        return len(os.listdir("/proc/self/fd")), len(threads), len(children)

    def ready(pool):
        return [w.pid for w in pool.snapshot(resources=False).workers if w.state == "idle"]

    class Limit:
        def __init__(self, what, number):
            self.what, self.number = what, number
            self.before = resource.getrlimit(what)

        def __enter__(self):
            resource.setrlimit(self.what, (self.number, self.before[1]))

        def __exit__(self, *_):
            resource.setrlimit(self.what, self.before)

    with make() as warm:  # so that everything is imported
        warm.call(sys.argv[2])
    below = [os.dup(0) for _ in range(120)]  # a worker may have what it needs
"""
"""Programs that run out of something; their log goes to stdout."""


class TestScarcity:
    @pytest.mark.parametrize("kind", ["serve", "python"])
    def test_emfile_at_the_start_is_an_oserror_and_leaks_nothing(self, kind: str) -> None:
        done = self._run(
            kind,
            """
            outcomes = []
            for room in range(0, 30):
                before = possessions()
                pool = make()
                with Limit(resource.RLIMIT_NOFILE, before[0] - 1 + room):
                    try:
                        pool.open()
                        outcomes.append("opened")
                    except OSError as error:
                        outcomes.append(errno.errorcode[error.errno])
                    pool.kill()
                eventually(lambda: possessions() == before)
            print(*outcomes)
            with make() as pool:
                print("recovered", pool.call("answer(1)"))
            """,
        )
        assert done.stderr == ""
        outcomes, recovered = done.stdout.splitlines()[-2:]
        assert recovered == "recovered 1"
        failures = outcomes.split().count("EMFILE")
        assert 5 < failures < 30
        assert outcomes.split() == ["EMFILE"] * failures + ["opened"] * (30 - failures)

    @pytest.mark.parametrize("kind", ["serve", "python"])
    def test_emfile_at_a_respawn_is_fewer_workers_and_a_warning(self, kind: str) -> None:
        done = self._run(
            kind,
            """
            filler, room = [], 0
            failed = threading.Event()

            def listen(event):
                if type(event).__name__ == "WorkerFailedToStart":
                    failed.set()
                if type(event).__name__ == "WorkerExited":
                    while True:  # take what the dead one had, but for a few
                        try:
                            filler.append(os.dup(0))
                        except OSError:
                            break
                    for _ in range(room):
                        os.close(filler.pop())

            pool = make(2).open()
            pool.wait_ready()
            before = possessions()
            pool.events(listen)
            outcomes = []
            for room in range(0, 26, 2):
                failed.clear()
                victim, other = ready(pool)
                with Limit(resource.RLIMIT_NOFILE, before[0] - 1 + 8):  # a start takes more
                    os.kill(victim, 9)
                    eventually(lambda: failed.is_set() or len(set(ready(pool)) - {victim}) == 2)
                    assert pool.map(["answer(1)"] * 20) == ["1"] * 20
                    assert pool.submit("answer(2)").result() == "2"
                    outcomes.append(failed.is_set())
                    assert other in [w.pid for w in pool.snapshot(resources=False).workers]
                while filler:
                    os.close(filler.pop())
                eventually(lambda: len(ready(pool)) == 2)
                eventually(lambda: possessions() == before)
            pool.close()
            print("failed", outcomes.count(True), outcomes == sorted(outcomes, reverse=True))
            """,
        )
        assert done.stderr == ""
        _, failures, in_order = done.stdout.splitlines()[-1].split()
        assert 2 < int(failures) < 13
        assert in_order == "True"
        assert "WARNING worker " in done.stdout
        assert "did not start: [Errno 24]" in done.stdout

    def test_eagain_at_the_start_is_an_oserror_and_leaks_nothing(self) -> None:
        """`cat` can be run by anybody, which the interpreter may not be."""
        done = self._run(
            {"kind": "command", "command": ["cat"], "protocol": "lines"},
            """
            if os.geteuid() == 0:  # the limit does not hold for root
                import ctypes
                os.setresgid(54321, 54321, 54321)
                os.setresuid(54321, 54321, 54321)
                ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # it may look at itself all the same
            me = f"Uid:\\t{os.geteuid()}\\t"

            def tasks():
                found = 0
                for pid in filter(str.isdecimal, os.listdir("/proc")):
                    try:
                        with open(f"/proc/{pid}/status") as file:
                            mine = me in file.read()
                        found += mine and len(os.listdir(f"/proc/{pid}/task"))
                    except OSError:
                        pass
                return found

            outcomes = []
            for more in range(0, 6):
                before = possessions()
                pool = make()
                called = threading.Event()
                with Limit(resource.RLIMIT_NPROC, tasks() + more):
                    try:
                        pool.open()
                        future = pool.submit("works")
                        future.add_done_callback(lambda _: called.set())
                        outcomes.append(future.result(30))
                    except OSError as error:
                        outcomes.append(errno.errorcode[error.errno])
                    pool.kill()
                # A callback may still be about to be called when `result` returns.
                assert called.wait(30) if outcomes[-1] == "works" else not called.is_set()
                eventually(lambda: possessions() == before)
            print(*outcomes)
            with make() as pool:
                print(pool.call("recovered"))
            """,
        )
        assert done.stderr == ""
        outcomes, recovered = done.stdout.splitlines()[-2:]
        assert recovered == "recovered"
        failures = outcomes.split().count("EAGAIN")
        assert 2 < failures < 6
        assert outcomes.split() == ["EAGAIN"] * failures + ["works"] * (6 - failures)

    @pytest.mark.parametrize("kind", ["python"])
    def test_enomem_at_a_respawn_is_fewer_workers_and_a_warning(self, kind: str) -> None:
        """Where the memory that a worker and the pool share cannot be mapped."""
        done = self._run(
            kind,
            """
            pool = make(2).open()
            pool.wait_ready()
            assert pool.map(["answer(1)"] * 20) == ["1"] * 20
            before = possessions()
            failed = threading.Event()
            scarce = []

            def listen(event):
                if type(event).__name__ == "WorkerFailedToStart":
                    failed.set()
                if type(event).__name__ == "WorkerExited" and not scarce:
                    with open("/proc/self/statm") as file:
                        size = int(file.read().split()[0]) * resource.getpagesize()
                    scarce.append(Limit(resource.RLIMIT_AS, size))
                    scarce[0].__enter__()

            pool.events(listen)
            os.kill(ready(pool)[0], 9)
            assert failed.wait(30)
            scarce[0].__exit__()
            assert pool.map(["answer(1)"] * 20) == ["1"] * 20
            eventually(lambda: len(ready(pool)) == 2)
            eventually(lambda: possessions() == before)
            pool.close()
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "did not start: [Errno 12]" in done.stdout

    def _run(self, kind: str | dict[str, Any], source: str) -> subprocess.CompletedProcess[str]:
        worker = KINDS[kind] if isinstance(kind, str) else kind
        arguments = [json.dumps(worker), "answer(1)"]
        return run_python(dedent(SCARCE) + dedent(source), arguments=arguments)


NO_GUARD = """
import os
from processpool import ProcessPool, ProcessPoolExecutor
with open({path!r}, "a") as file:
    file.write("here\\n")
class Point:
    def __init__(self, x): self.x = x
def moved(point): return Point(point.x + 1)
def ready(word): os.environ["WORD"] = word
def word(_): return os.environ["WORD"]
with ProcessPool.from_dict({{"worker": {{"kind": "python"}}, "size": {{"max": 2}}}}) as pool:
    print([point.x for point in pool.map(moved, map(Point, range(3)))])
    print(pool.call(lambda: moved(Point(8)).x))
with ProcessPoolExecutor(2, initializer=ready, initargs=("said",)) as executor:
    print(executor.submit(moved, Point(5)).result().x, *executor.map(word, range(3)))
"""


class TestNoGuard:
    """No `if __name__ == "__main__"`: nothing is run again, and everything works."""

    @pytest.mark.parametrize("how", ["script", "-c", "-m", "cell"])
    def test_no_process_bomb(self, tmp_path: Path, how: str) -> None:
        path = tmp_path / "runs"
        source = NO_GUARD.format(path=str(path))
        (tmp_path / "without_guard.py").write_text(source)
        cell = (
            "import sys; from IPython.core.interactiveshell import InteractiveShell; "
            "InteractiveShell.instance().run_cell(sys.stdin.read()).raise_error()"
        )
        arguments = {
            "script": ["without_guard.py"],
            "-c": ["-c", source],
            "-m": ["-m", "without_guard"],
            "cell": ["-c", cell],
        }[how]
        done = subprocess.run(
            [sys.executable, *arguments],
            input=source,
            cwd=tmp_path,
            env=os.environ | {"IPYTHONDIR": str(tmp_path / "ipython")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "[1, 2, 3]\n9\n6 said said said\n"
        assert path.read_text() == "here\n"
