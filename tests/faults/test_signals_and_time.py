"""Ctrl-C, stopped workers, workers that will not go, and a clock that jumps.

What is tested elsewhere:
- an interrupted map leaves other work alone → tests.process.test_map; executors →
  tests.process.test_executor_shutdown
- a command that ignores the exit message, or SIGTERM → tests.process.test_close
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from processpool import ProcessPool, RequestTimeout, WorkerDied
from processpool.core import events
from tests.faults.conftest import KINDS
from tests.process.support import (
    Gate,
    ask,
    await_exit,
    eventually,
    is_gone,
    pids,
    run_python,
    slowness,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


PROGRAM = """
    import json, os, sys, time
    from processpool import ProcessPool
    worker, ran, gates = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
    with ProcessPool.from_dict({"worker": worker, "size": {"min": 2, "max": 2}}) as pool:
        pool.wait_ready()
        def say(*words):
            print(*words, flush=True)
        def show():
            say(*(worker.pid for worker in pool.snapshot().workers if worker.pid))
"""
INTERRUPTED = """
        for gate in gates:
            items = [f"wait({gate!r}); answer()"] * 2 + [f"open({ran!r}, 'w'); answer()"] * 30
            try:
                {use}
            except KeyboardInterrupt:
                say("interrupted")
            show()
            say(pool.drain(30), pool.snapshot().queued, len(pool.snapshot().maps))
            say(pool.map(["answer(1)"] * 4), pool.call("answer(2)"))
"""
PROMPT = """
        while True:
            try:
                show()
                for line in sys.stdin:
                    say(pool.call(line), pool.map([line]), pool.submit(line).result())
                break
            except KeyboardInterrupt:
                say("interrupted")
"""


class Program:
    """A program with a pool, in a session of its own, as a terminal has one."""

    def __init__(self, kind: str, source: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "error",
                "-c",
                dedent(PROGRAM + source),
                json.dumps(KINDS[kind]),
                *arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    def interrupt(self, *, group: bool) -> float:
        """Ctrl-C; how many seconds it takes until the program says so."""
        began = time.monotonic()
        if group:
            os.killpg(self.process.pid, signal.SIGINT)
        else:
            self.process.send_signal(signal.SIGINT)
        assert self.read() == "interrupted"
        return time.monotonic() - began

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")

    def end(self) -> tuple[int, str, str]:
        """Let it come to its end: its status, and what it still had to say."""
        stdout, stderr = self.process.communicate(timeout=60)
        return self.process.returncode, stdout, stderr

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class TestCtrlC:
    @pytest.mark.parametrize("kind", ["foreign", "python"])
    @pytest.mark.parametrize("group", [True, False], ids=["the whole group", "the parent alone"])
    @pytest.mark.parametrize("use", ["pool.map(items)", "list(pool.imap(items))"])
    def test_in_a_map_it_is_prompt_cancels_what_waits_and_leaves_the_pool_usable(
        self, kind: str, group: bool, use: str, tmp_path: Path
    ) -> None:
        gates = [Gate(tmp_path, f"gate{n}") for n in range(3)]
        ran = tmp_path / "ran"
        seconds = []
        workers: set[int] = set()
        paths = map(str, (ran, *(gate.path for gate in gates)))
        program = Program(kind, INTERRUPTED.replace("{use}", use), *paths)
        try:
            for gate in gates:
                gate.await_arrival()
                seconds.append(program.interrupt(group=group))
                workers |= set(map(int, program.read().split()))
                assert program.read() == "True 0 0"
                assert program.read() == "['1', '1', '1', '1'] 2"
            assert program.end() == (0, "", ""), "the workers are to be quiet"
        finally:
            for gate in gates:
                gate.close()
            program.close()
        assert min(seconds) < slowness()
        assert not ran.exists(), "what waited was run"
        assert all(map(is_gone, workers))

    @pytest.mark.parametrize("kind", ["foreign", "python"])
    @pytest.mark.parametrize("use", ["pool.call(items[0])", "pool.submit(items[0]).result()"])
    def test_in_a_single_request(self, kind: str, use: str, tmp_path: Path) -> None:
        """What `submit` was given goes on; it is ended with the pool."""
        gate = Gate(tmp_path)
        source = INTERRUPTED.replace("{use}", use).replace("pool.drain(30)", "True")
        program = Program(kind, source, "", str(gate.path))
        try:
            gate.await_arrival()
            assert program.interrupt(group=True) < 30
            workers = set(map(int, program.read().split()))
            assert program.read() == "True 0 0"
            gate.close()
            assert program.read() == "['1', '1', '1', '1'] 2"
            assert program.end() == (0, "", "")
        finally:
            gate.close()
            program.close()
        assert all(map(is_gone, workers))

    def test_at_a_prompt_while_idle_it_costs_nothing(self, kind: str) -> None:
        program = Program(kind, PROMPT, "")
        try:
            workers = program.read()
            for n in range(3):
                program.interrupt(group=True)
                assert program.read() == workers
                program.write(f"answer({n})")
                assert program.read() == f"{n} ['{n}'] {n}"
            assert program.end() == (0, "", ""), "the workers are to be quiet"
        finally:
            program.close()
        assert all(map(is_gone, map(int, workers.split())))


class TestStopped:
    def test_an_idle_one_holds_up_nobody_else_and_loses_nothing(
        self, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make(2)
        stopped = pids(pool)[1]
        os.kill(stopped, signal.SIGSTOP)
        futures = [pool.submit("answer(os.getpid())") for _ in range(6)]
        eventually(lambda: sum(future.done() for future in futures) >= 5)
        os.kill(stopped, signal.SIGCONT)
        assert {int(future.result(30)) for future in futures} <= set(pids(pool))
        assert stopped in pids(pool)

    def test_a_busy_one_holds_up_nobody_else_and_loses_nothing(
        self, make: Callable[..., ProcessPool], gate: Gate
    ) -> None:
        pool = make(2)
        future = pool.submit(f"wait({str(gate.path)!r}); answer(os.getpid())")
        gate.await_arrival()
        (stopped,) = (w.pid for w in pool.snapshot().workers if w.state == "busy")
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
        others = pool.map([f"answer({n})" for n in range(50)])
        assert others == [str(n) for n in range(50)]
        gate.open()
        assert not future.done()
        os.kill(stopped, signal.SIGCONT)
        assert future.result(30) == str(stopped)
        assert stopped in pids(pool)

    @pytest.mark.parametrize("way", ["call", "map"])
    def test_a_timeout_ends_it(self, make: Callable[..., ProcessPool], way: str) -> None:
        pool = make(timeouts={"request": 0.3})
        (stopped,) = pids(pool)
        os.kill(stopped, signal.SIGSTOP)
        with pytest.raises(RequestTimeout):
            ask(pool, way, "answer()")
        await_exit(stopped)
        eventually(lambda: pids(pool) and pids(pool) != [stopped])
        assert pool.map(["answer(1)"], timeout=None) == ["1"]

    def test_closing_ends_it(self, make: Callable[..., ProcessPool]) -> None:
        pool = make(2, timeouts={"exit": 0.3})
        stopped = pids(pool)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        pool.close()
        assert time.monotonic() - began < 15
        assert all(map(is_gone, stopped))


class TestItWillNotGo:
    @pytest.mark.parametrize("kind", ["serve", "python"])
    @pytest.mark.parametrize("at_end", ["close", "close in a hurry", "restart"])
    def test_the_ladder_ends_with_sigkill_and_close_returns(
        self, make: Callable[..., ProcessPool], at_end: str
    ) -> None:
        pool = make(timeouts={"exit": 0.3})
        told: list[events.Event] = []
        pool.events(told.append)
        pid = int(
            pool.call(
                "import threading\n"
                "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
                "    signal.signal(number, signal.SIG_IGN)\n"
                "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
                "answer(os.getpid())"
            )
        )
        began = time.monotonic()
        if at_end == "restart":
            pool.restart_worker(1, wait=True)
            await_exit(pid)
        elif at_end == "close in a hurry":
            pool.close(grace=0)
        pool.close()
        assert time.monotonic() - began < 15
        assert is_gone(pid)
        (ended,) = (e for e in told if isinstance(e, events.WorkerExited) and e.pid == pid)
        assert ended.exitcode == -signal.SIGKILL

    def test_the_exit_message_alone_is_enough_for_one_that_heeds_it(
        self, make: Callable[..., ProcessPool]
    ) -> None:
        pool = make(timeouts={"exit": 60})
        told: list[events.Event] = []
        pool.events(told.append)
        pool.call("signal.signal(signal.SIGTERM, signal.SIG_IGN); answer()")
        pool.close()
        (ended,) = (event for event in told if isinstance(event, events.WorkerExited))
        assert ended.exitcode == 0


JUMPS = '''
import itertools, time
_days = itertools.count(1)
_real = {name: getattr(time, name) for name in ("time", "time_ns", "clock_gettime")}
def _jump():
    """Each look at the clock is days away from the last one, in either direction."""
    day = next(_days)
    return day * 86400 * (-1) ** day
def _clock_gettime(clock):
    return _real["clock_gettime"](clock) + (_jump() if clock == time.CLOCK_REALTIME else 0)
time.time = lambda: _real["time"]() + _jump()
time.time_ns = lambda: _real["time_ns"]() + _jump() * 10**9
time.clock_gettime = _clock_gettime
'''


class TestTheClockJumps:
    @pytest.mark.parametrize("kind", ["serve", "python"])
    def test_nothing_is_late_early_or_lost(self, kind: str, tmp_path: Path) -> None:
        """Both here and in the workers, wall time is of no use to anybody."""
        (tmp_path / "sitecustomize.py").write_text(JUMPS)
        worker = KINDS[kind] | {"env": {"PYTHONPATH": str(tmp_path)}}
        source = """
            import json, sys, time
            exec(sys.argv[2])
            assert abs(time.time() - time.time()) > 86400
            from processpool import ProcessPool, RequestTimeout
            size, timeouts = {"min": 1, "max": 3, "spare": 3}, {"idle": 3600, "request": 60}
            recycle = {"after": "1h"}
            with ProcessPool.from_dict({"worker": json.loads(sys.argv[1]), "size": size,
                    "timeouts": timeouts, "recycle": recycle}) as pool:
                pool.resize(min=3)
                pool.wait_ready()
                before = {worker.pid for worker in pool.snapshot().workers}
                jumped = "assert abs(time.time() - time.time()) > 86400; answer(1)"
                assert pool.map([jumped] * 50) == ["1"] * 50
                assert pool.call("time.sleep(0.3); answer(2)") == "2"
                pool.resize(min=1)
                assert pool.submit("time.sleep(0.3); answer(3)").result(30) == "3"
                (shown,) = pool.map(["time.sleep(0.2); answer(4)"], details=True)
                assert 0.1 < shown.seconds < 30, shown
                assert 0 <= shown.queued < 30, shown
                assert {worker.pid for worker in pool.snapshot().workers} == before
                assert all(0 <= worker.age < 100 for worker in pool.snapshot().workers)
                began = time.monotonic()
                try:
                    pool.map(["time.sleep(100)"], timeout=0.5)
                except RequestTimeout:
                    print("in time", 0.4 < time.monotonic() - began < 30)
                assert pool.drain(30)
        """
        done = run_python(source, arguments=[json.dumps(worker), JUMPS])
        assert (done.returncode, done.stdout, done.stderr) == (0, "in time True\n", "")


class TestItSignalsItsOwnGroup:
    @pytest.mark.parametrize(
        ("name", "call"),
        [
            ("SIGTERM", "os.killpg(0, {})"),
            ("SIGKILL", "os.killpg(0, {})"),
            ("SIGHUP", "os.kill(0, {})"),
        ],
    )
    def test_the_parent_and_the_others_are_unharmed(
        self, make: Callable[..., ProcessPool], name: str, call: str
    ) -> None:
        pool = make(2)
        before = set(pids(pool))
        future = pool.submit(f"{call.format('signal.' + name)}; time.sleep(60)")
        with pytest.raises(WorkerDied, match=name) as caught:
            future.result(30)
        assert pool.map(["answer(1)"] * 10) == ["1"] * 10
        assert before - set(pids(pool)) == {caught.value.pid}

    @pytest.mark.parametrize("way", ["call", "submit"])
    @pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
    def test_nor_is_anybody_who_waits_for_the_answer(
        self, make: Callable[..., ProcessPool], way: str, name: str
    ) -> None:
        pool = make()
        heard = threading.Event()
        before = signal.signal(signal.Signals[name], lambda *_: heard.set())
        try:
            code = f"os.killpg(0, signal.{name}); time.sleep(60)"
            with pytest.raises((WorkerDied, KeyboardInterrupt)):
                ask(pool, way, code)
        finally:
            signal.signal(signal.Signals[name], before)
        assert not heard.is_set()
        assert ask(pool, way, "answer(1)") == "1"
