"""When the pool's own process is ended from outside, nothing of the pool stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from processpool.engine.guard import Guard
from tests.process.support import PUPPET, await_exit, is_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = """
    import os, signal, sys, threading
    from processpool import ProcessPool
    worker = {"kind": "command", "command": ["python", "-IS", sys.argv[1]]}
    child = "pid = os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '1000'); "
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(1, signal.SIG_IGN); "
    said = "answer(f'{os.getpid()} {pid}')"
    busy = {
        "idle": None,
        "sleeping": "time.sleep(1000)",
        "spinning": "sum(range(10**18))",
        "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
    }[sys.argv[2]]
    pool = ProcessPool.from_dict({"worker": worker, "size": {"min": 2, "max": 2}}).open()
    pool.wait_ready()
    leases = [pool.lease(), pool.lease()]
    for lease in leases:
        lease.send(child + ignore + said)
        print(lease.read_stdout(), flush=True)
        if busy:
            lease.send(busy)
    print("ready", flush=True)
    exec(sys.argv[3])
    threading.Event().wait()
"""


class Parent:
    """A process with a pool of two workers, each with a child of its own."""

    def __init__(self, busy: str, end: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", dedent(PARENT), PUPPET[-1], busy, end],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.offspring: list[int] = []
        for line in self.process.stdout:
            if line == "ready\n":
                break
            self.offspring += map(int, line.split())

    def await_the_end_of_all(self) -> float:
        """Wait until nothing is left; how many seconds that took after the parent's own end."""
        self.process.wait()
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


@pytest.mark.parametrize("busy", ["idle", "sleeping", "spinning", "stopped"])
def test_a_killed_parent_takes_everything_along(parents: list[Parent], busy: str) -> None:
    parent = Parent(busy)
    parents.append(parent)
    assert len(parent.offspring) == 4
    assert not any(map(is_gone, parent.offspring))
    parent.process.kill()
    assert parent.await_the_end_of_all() < 2


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("os._exit(3)", 3),
        ("os.abort()", -signal.SIGABRT),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("os.setsid(); os.killpg(0, signal.SIGHUP)", -signal.SIGHUP),
    ],
)
def test_however_the_parent_ends(parents: list[Parent], end: str, status: int) -> None:
    parent = Parent("sleeping", end)
    parents.append(parent)
    assert len(parent.offspring) == 4
    assert parent.await_the_end_of_all() < 2
    assert parent.process.returncode == status


class TestGuard:
    @pytest.fixture
    def group(self) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        yield process
        process.kill()
        process.wait()

    def test_a_removed_group_is_left_alone(self, group: subprocess.Popen[bytes]) -> None:
        guard = Guard()
        guard.add(group.pid)
        guard.remove(group.pid)
        guard.close()
        assert group.poll() is None

    def test_the_others_are_killed(self, group: subprocess.Popen[bytes]) -> None:
        guard = Guard()
        guard.add(2**22 + 7)
        guard.add(group.pid)
        guard.remove(2**22 + 7)
        guard.remove(2**22 + 8)
        guard.close()
        assert group.wait(30) == -signal.SIGKILL

    def test_numbers_that_contain_one_another(self, group: subprocess.Popen[bytes]) -> None:
        guard = Guard()
        guard.add(group.pid)
        guard.add(int(f"{group.pid}0"))
        guard.remove(int(f"{group.pid}0"))
        guard.close()
        assert group.wait(30) == -signal.SIGKILL

    def test_a_killed_guard_is_no_more_than_a_missing_net(
        self, group: subprocess.Popen[bytes]
    ) -> None:
        guard = Guard()
        guard._popen.kill()
        guard._popen.wait()
        guard.add(group.pid)
        guard.close()
        assert group.poll() is None
