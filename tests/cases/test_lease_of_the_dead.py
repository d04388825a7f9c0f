"""A worker that ends just after its last answer costs the next lease nothing."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool, UnexpectedEOF

if TYPE_CHECKING:
    from collections.abc import Iterator

PHP_WORKER = Path(__file__).parents[1] / "process" / "workers" / "seed_worker.php"
TURNS = 5

LAST_WORDS = """
import os, sys, time
for line in sys.stdin:
    print(os.getpid(), flush=True)
    if line == "last\\n":
        time.sleep(0.05)  # it is lent again meanwhile, and looks as good as any
        break
"""
NEVER_READS = """
import os, select, sys
select.select([0], [], [])  # it awaits its request, but takes none of it
"""


def pool_of(command: list[str], protocol: str = "lines", **worker: Any) -> ProcessPool:
    declared = {"kind": "command", "command": command, "protocol": protocol, **worker}
    return ProcessPool.from_dict({"worker": declared, "size": {"min": 1, "max": 1}})


@pytest.fixture
def dying() -> Iterator[ProcessPool]:
    """One worker that ends a moment after it has answered `last`."""
    with pool_of(["python", "-c", LAST_WORDS]) as pool:
        yield pool


def end_the_worker(pool: ProcessPool) -> int:
    with pool.lease() as lease:
        lease.send("last")
        return int(lease.read_stdout())


def test_the_first_request_gets_its_answer(dying: ProcessPool) -> None:
    for _ in range(TURNS):
        dead = end_the_worker(dying)
        with dying.lease() as lease:
            lease.send("first")
            pid = int(lease.read_stdout())
            assert pid == lease.pid != dead
            lease.send("second")
            assert int(lease.read_stdout()) == pid


def test_so_does_one_that_is_waited_for(dying: ProcessPool) -> None:
    for _ in range(TURNS):
        end_the_worker(dying)
        with dying.lease() as lease:
            lease.send("first")
            assert lease.wait(60)
            assert lease.has_stdout
            assert int(lease.read_stdout()) == lease.pid


def test_the_lease_comes_back_as_any_other(dying: ProcessPool) -> None:
    end_the_worker(dying)
    with dying.lease() as lease:
        lease.send("first")
        lease.read_stdout()
    assert int(dying.call("next")) == lease.pid


def test_a_second_request_is_not_sent_again(dying: ProcessPool) -> None:
    with dying.lease() as lease:
        lease.send("last")
        lease.read_stdout()
        lease.send("more")
        with pytest.raises(UnexpectedEOF):
            lease.read_stdout()
    assert dying.call("next")


def test_a_program_that_never_reads_is_given_up() -> None:
    with pool_of(["python", "-c", NEVER_READS]) as pool, pool.lease() as lease:
        lease.send("first")
        with pytest.raises(UnexpectedEOF, match="without an answer"):
            lease.read_stdout()


def test_a_worker_of_functions_that_was_killed_before_it_read() -> None:
    declared = {"worker": {"kind": "python"}, "size": {"min": 1, "max": 1}}
    with ProcessPool.from_dict(declared) as pool, pool.lease() as lease:
        dead = lease.pid
        os.kill(dead, signal.SIGSTOP)
        lease.send(os.getpid)
        os.kill(dead, signal.SIGKILL)
        assert lease.read_stdout() == lease.pid != dead


@pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed")
def test_the_worker_of_the_predecessor() -> None:
    worker = ["php", PHP_WORKER.name]
    with pool_of(worker, "framed", cwd=str(PHP_WORKER.parent)) as pool:
        for turn in range(TURNS):
            with pool.lease() as lease:
                lease.send(f"print-and-exit {turn}")
                assert lease.read_stdout() == str(turn)
            lease = pool.lease()
            lease.send("echo hello")
            assert lease.read_stdout() == "hello"
            lease.release()
