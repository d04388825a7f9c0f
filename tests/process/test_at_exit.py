"""Pools that are open when the interpreter ends."""

from __future__ import annotations

import pytest

from tests.process.support import run_python

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


def test_idle_pools_are_closed() -> None:
    assert run("other = make()") == (0, "", "")


@pytest.mark.parametrize(
    ("end", "status"), [("sys.exit(5)", 5), ("sys.exit('no')", 1), ("raise ValueError", 1)]
)
def test_the_exit_status_is_kept(end: str, status: int) -> None:
    assert run("pool.submit(abs, 1)", end)[0] == status


def test_pending_work_is_finished_within_the_grace() -> None:
    lines = [f"pool.submit(slow, {n / 100}).add_done_callback(tell)" for n in range(5)]
    assert run(*lines) == (0, "NoneType\n" * 5, "")


def test_what_takes_longer_is_cancelled_with_a_warning() -> None:
    status, stdout, stderr = run(
        "pool = make(name='mine', timeouts={'exit': '0.2s'})",
        "pool.submit(slow, 60).add_done_callback(tell)",
        "pool.submit(slow, 60).add_done_callback(tell)",
    )
    assert status == 0
    assert stdout == "PoolClosed\n" * 2
    assert "pool 'mine' had still 2 items after 0.2 s: they are cancelled" in stderr
    assert len(stderr.splitlines()) == 1


def test_a_pool_that_was_dropped_finishes_too() -> None:
    lines = ["pool.submit(slow, 0.1).add_done_callback(tell)", "del pool"]
    assert run(*lines) == (0, "NoneType\n", "")


def test_a_paused_pool_goes_on_to_its_end() -> None:
    lines = ["pool.pause()", "pool.executor().submit(slow, 0).add_done_callback(tell)"]
    assert run(*lines, "pool.submit(slow, 0).add_done_callback(tell)") == (0, "NoneType\n" * 2, "")


def test_a_daemon_thread_in_a_call_does_not_hold_it_up() -> None:
    status, _, stderr = run(
        "pool = make(timeouts={'exit': '0.2s'})",
        "threading.Thread(target=pool.call, args=(slow, 60), daemon=True).start()",
        "while not pool.num_running: time.sleep(0.001)",
    )
    assert status == 0
    assert "done" not in stderr


def test_a_forked_child_waits_for_nothing_of_its_parent() -> None:
    status, stdout, stderr = run(
        "import os, warnings",
        "warnings.simplefilter('ignore')",
        "future = pool.executor().submit(time.sleep, 0.5)",
        "child = os.fork()",
        "if not child: sys.exit(3)",
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), future.done())",
    )
    assert (status, stdout, stderr) == (0, "3 False\n", "")
