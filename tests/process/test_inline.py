"""`inline: true`: functions run in this process, where a debugger can look at them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from processpool import (
    ProcessPool,
    ProcessPoolExecutor,
    Retire,
    WorkerDied,
    WorkerStartFailed,
    current_worker,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

events: list[Any] = []


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(max_workers=2, inline=True) as opened:
        yield opened


def where(_: Any = None) -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def fail(x: int) -> int:
    print("about to fail")
    raise LookupError(x)


def ask_for_another(_: Any) -> None:
    raise Retire("no licence")


def leave(status: int) -> None:
    sys.exit(status)


def look_around(name: str) -> tuple[str, str | None]:
    return os.getcwd(), os.environ.get(name)


def set_up() -> str:
    events.append("set up")
    return "state"


def take_state(x: int, state: str) -> tuple[int, str]:
    return x, state


def tear_down() -> None:
    events.append("torn down")


def who(_: Any) -> Any:
    worker = current_worker()
    assert worker is not None
    return worker.slot, worker.pool, worker.item, worker.attempt


class TestRunning:
    def test_on_the_callers_thread_in_order(self, pool: ProcessPool) -> None:
        order: list[int] = []
        assert set(pool.map(where, range(3))) == {where()}
        assert pool.submit(where).result() == where()
        list(pool.imap(order.append, range(5)))
        assert order == [0, 1, 2, 3, 4]

    def test_each_thread_runs_its_own(self, pool: ProcessPool) -> None:
        found = {}

        def run() -> None:
            found[threading.get_ident()] = {thread for _, thread in pool.map(where, range(50))}

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(ran_on == {ident} for ident, ran_on in found.items())

    def test_in_an_executor(self) -> None:
        os.environ["PROCESSPOOL_INLINE"] = "1"
        try:
            with ProcessPoolExecutor(2) as executor:
                assert executor.submit(where).result() == where()
        finally:
            del os.environ["PROCESSPOOL_INLINE"]

    def test_as_a_worker_would(self, tmp_path: Path) -> None:
        before = os.getcwd()
        with ProcessPool(
            inline=True,
            handler=f"{__name__}:look_around",
            cwd=tmp_path,
            env={"INLINE_TEST": "yes"},
        ) as pool:
            assert pool.call("INLINE_TEST") == (str(tmp_path), "yes")
        assert (os.getcwd(), os.environ.get("INLINE_TEST")) == (before, None)

    def test_setup_state_and_teardown(self) -> None:
        events.clear()
        functions = {"handler": "take_state", "setup": "set_up", "teardown": "tear_down"}
        named = {key: f"{__name__}:{name}" for key, name in functions.items()}
        with ProcessPool.from_dict({"worker": {"kind": "python", **named}, "inline": True}) as pool:
            assert pool.map([1, 2]) == [(1, "state"), (2, "state")]
            assert events == ["set up"]
        assert events == ["set up", "torn down"]

    def test_a_function_as_setup(self) -> None:
        events.clear()
        with ProcessPool(setup=set_up, inline=True):
            assert events == ["set up"]

    def test_a_setup_that_fails(self) -> None:
        with pytest.raises(WorkerStartFailed, match=r"inline.*LookupError"):
            ProcessPool(setup=lambda: fail(1), inline=True).open()

    def test_current_worker(self, pool: ProcessPool) -> None:
        assert pool.map(who, "ab") == [(0, "pool", 0, 1), (0, "pool", 1, 1)]
        assert current_worker() is None

    def test_shared_objects(self, pool: ProcessPool) -> None:
        with pool.share(b"abc") as shared:
            assert pool.call(bytes, shared) == b"abc"


class TestErrors:
    def test_keep_their_traceback(self, pool: ProcessPool) -> None:
        with pytest.raises(LookupError) as found:
            pool.map(fail, [7])
        assert traceback.extract_tb(found.value.__traceback__)[-1].name == "fail"
        assert found.value.__notes__ == ["item 0 of map 'fail': 7"]

    def test_have_their_record(self, pool: ProcessPool) -> None:
        (outcome,) = pool.map(fail, [7], on_error="return", details=True)
        assert (outcome.args, outcome.stdout, outcome.name) == ((7,), "about to fail\n", "fail")

    def test_arguments_that_cannot_be_pickled(self, pool: ProcessPool) -> None:
        with pytest.raises(TypeError, match="pickle"):
            pool.call(where, threading.Lock())

    def test_an_exit(self, pool: ProcessPool) -> None:
        with pytest.raises(WorkerDied) as found:
            pool.call(leave, 3)
        assert found.value.exitcode == 3
        assert pool.call(abs, -1) == 1

    def test_retiring(self, pool: ProcessPool) -> None:
        with pytest.raises(Retire, match="5 workers were replaced"):
            pool.call(ask_for_another, 1)

    def test_attempts(self) -> None:
        sections = {"retry": {"attempts": 3, "on": ["error"]}, "inline": True}
        with ProcessPool(**sections) as pool:  # type: ignore[arg-type]
            error = pool.submit(fail, 1).exception()
        assert error is not None
        assert error.record.attempts == 3  # type: ignore[attr-defined]


class TestDebugging:
    """With a debugger that reads its commands from a pipe."""

    def debug(self, tmp_path: Path, source: str, commands: str, **env: str) -> str:
        script = tmp_path / "script.py"
        script.write_text(dedent(source))
        done = subprocess.run(
            [sys.executable, str(script)],
            input=commands,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **env},
            timeout=60,
            check=False,
        )
        return done.stdout

    SCRIPT = """
        from processpool import ProcessPool

        def fail(n, *, bonus=0):
            local = n + bonus
            raise LookupError(local)

        def stop(n):
            print("printed")
            breakpoint()
            return n

        if __name__ == "__main__":
            with ProcessPool(max_workers=1) as pool:
                {}
    """

    def test_a_breakpoint(self, tmp_path: Path) -> None:
        source = self.SCRIPT.format("print(pool.map(stop, [41]))")
        shown = self.debug(tmp_path, source, "p n + 1\nc\n", PROCESSPOOL_INLINE="1")
        assert "(Pdb) 42" in shown
        assert shown.endswith("[41]\n")

    def test_leaving_the_debugger_ends_the_map(self, tmp_path: Path) -> None:
        source = self.SCRIPT.format("pool.map(stop, [1, 2, 3], on_error='skip')")
        shown = self.debug(tmp_path, source, "q\n", PROCESSPOOL_INLINE="1")
        assert shown.rstrip().endswith("BdbQuit")
        assert shown.count("(Pdb)") == 1

    def test_a_breakpoint_in_a_worker_says_what_to_do(self, tmp_path: Path) -> None:
        source = self.SCRIPT.format("print(pool.submit(stop, 1).exception())")
        shown = self.debug(tmp_path, source, "")
        assert "PROCESSPOOL_INLINE=1" in shown
        assert "pool.debug(outcome)" in shown

    def test_a_breakpoint_that_was_turned_off(self, tmp_path: Path) -> None:
        source = self.SCRIPT.format("print(pool.submit(stop, 1).result())")
        assert self.debug(tmp_path, source, "", PYTHONBREAKPOINT="0") == "1\n"

    @pytest.mark.parametrize(
        ("failed", "local"),
        [
            ("pool.map(fail, [1], on_error='return', details=True)[0]", 1),
            ("pool.submit(fail, 1, bonus=2).exception()", 3),
        ],
    )
    def test_a_failed_item(self, tmp_path: Path, failed: str, local: int) -> None:
        source = self.SCRIPT.format(f"pool.debug({failed})")
        shown = self.debug(tmp_path, source, "p 'local', local\nq\n")
        assert f"(Pdb) ('local', {local})" in shown
        assert "LookupError" in shown.splitlines()[-2]

    def test_an_item_that_does_not_fail_again(self, pool: ProcessPool) -> None:
        (outcome,) = pool.map(where, [1], details=True)
        assert pool.debug(outcome) == where()

    def test_which_function_was_it(self) -> None:
        with ProcessPool(max_workers=1) as pool:
            two = [lambda x: x + 1, lambda x: x + 2]
            outcome = [pool.map(one, [1], details=True)[0] for one in two][1]
            with pytest.raises(TypeError, match=r"several.*pool\.debug\(outcome, function\)"):
                pool.debug(outcome)
            assert pool.debug(outcome, two[1]) == 3

    def test_of_a_program(self) -> None:
        pool = ProcessPool(command=["cat"], protocol="lines")
        with pytest.raises(TypeError, match="an Outcome"):
            pool.debug(ValueError())
        with pool:
            (record,) = pool.map(["a"], details=True)
            with pytest.raises(TypeError, match="runs a command"):
                pool.debug(record)


def test_a_program_cannot_run_inline() -> None:
    with pytest.raises(ValueError, match="inline: must be false with a command"):
        ProcessPool(command=["cat"], inline=True)
