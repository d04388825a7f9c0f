"""What the tests with real processes share: waiting for facts, gates in workers, and pools.

Nothing here sleeps to let something happen: whoever waits, waits for a fact, with a deadline that
is only there to end a test that has failed.
"""

from __future__ import annotations

import errno
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from processpool.engine.local import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from processpool import ProcessPool
    from processpool.engine.core import Core

WORKERS = Path(__file__).parent / "workers"
DEADLINE = 30.0
"""Seconds after which a fact that has not come about never will."""
QUIET_START = 0.02
"""Seconds that an interpreter takes to start on a machine that does nothing else."""
PUPPET = ["python", "-IS", str(WORKERS / "puppet.py")]
"""A foreign program that does what its messages say; see there."""
TASKS_LINES = ["python", "-S", str(WORKERS / "tasks_lines.py")]
TASKS_SERVE = ["python", str(WORKERS / "tasks_serve.py")]
WAYS = ["call", "submit", "map", "imap"]
"""The ways in which one request can be made; see `ask`."""


def ask(pool: ProcessPool, way: str, message: Any, timeout: float = 60) -> Any:
    """One request, in each of the ways in which it can be made."""
    match way:
        case "call":
            return pool.call(message)
        case "submit":
            return pool.submit(message).result(timeout)
        case "map":
            return pool.map([message])[0]
        case _:
            return next(pool.imap([message]))


def eventually(
    fact: Callable[[], Any], what: str = "it did not come about", within: float = DEADLINE
) -> Any:
    """Wait until `fact()` is true; return what it returned."""
    end = time.monotonic() + within
    pause = 0.0005
    while not (found := fact()):
        assert time.monotonic() < end, what
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    return found


def slowness() -> float:
    """How much slower this machine is now than a quiet one, 1 at least.

    There an interpreter starts in `QUIET_START`. What must be prompt is given so many times longer.
    """
    began = time.monotonic()
    subprocess.run([sys.executable, "-IS", "-c", "pass"], check=True)
    return max((time.monotonic() - began) / QUIET_START, 1.0)


def shared_memory() -> int:
    """Bytes that all files in memory hold which pools of this process share with workers."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if "processpool-" in os.readlink(f"/proc/self/fd/{fd}"):
                file = os.stat(f"/proc/self/fd/{fd}")
                found[file.st_ino] = file.st_blocks * 512
    return sum(found.values())


def is_gone(pid: int) -> bool:
    """True if there is no such process, or only its remains."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(") ")[2][:1] in "ZX"
    except OSError:
        return True


def await_exit(pid: int, within: float = DEADLINE) -> None:
    """Wait until a process has ended, whoever its parent is."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        assert poller.poll(within * 1000), f"process {pid} still runs after {within} s"
    finally:
        os.close(pidfd)


class Gate:
    """A place where a worker waits until the test opens it."""

    def __init__(self, folder: Path, name: str = "gate") -> None:
        self.path = folder / name
        os.mkfifo(self.path)
        self._writer: int | None = None

    def await_arrival(self) -> None:
        """Wait until a worker stands at the gate."""
        assert self._writer is None
        eventually(self._arrived, "no worker came to the gate")

    def open(self) -> None:
        """Let pass who stands there, waiting for somebody if nobody does."""
        if self._writer is None:
            self.await_arrival()
        self.close()

    def open_until(self, fact: Callable[[], Any]) -> None:
        """Let pass whoever comes, until `fact()` is true."""

        def opened() -> bool:
            if self._arrived():
                self.close()
            return bool(fact())

        eventually(opened)

    def _arrived(self) -> bool:
        try:
            self._writer = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        return True

    def close(self) -> None:
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None


def pids(pool: ProcessPool) -> list[int]:
    """The processes of a pool's workers."""
    return [w.pid for w in pool.snapshot(resources=False).workers if w.pid is not None]


def states(pool: ProcessPool) -> list[str]:
    """The states of a pool's workers, in the order of their numbers."""
    return [str(worker.state) for worker in pool.snapshot(resources=False).workers]


def run_python(
    source: str, *, arguments: Sequence[str] = (), timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run a program that uses the package, to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(source), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def open_fds() -> dict[int, str]:
    """The descriptors of this process, and what they lead to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


def core_of(pool: ProcessPool) -> Core:
    """What the parts of a pool's engine have in common."""
    assert isinstance(pool._engine, Engine)
    return pool._engine._core


def has_input(pool: ProcessPool, pid: int, stream: str = "stdout") -> bool:
    """True if something that the worker wrote to this stream lies in its pipe, unread."""
    for worker in list(core_of(pool).workers.values()):
        if worker.pid == pid:
            poller = select.poll()
            poller.register(getattr(worker.process, stream), select.POLLIN)
            return bool(poller.poll(0))
    raise AssertionError(f"the pool has no worker {pid}")
