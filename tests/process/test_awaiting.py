"""What a program is seen to do: await its input, poll, sleep or work."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from processpool.system.awaiting import Stance, inode_of, look_at
from processpool.system.pipes import unread
from processpool.system.process import Command, Process
from tests.process.support import Gate, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts programs, which are killed when the test has ended."""
    started: list[Process] = []

    def start(*argv: str) -> Process:
        started.append(Process(Command(argv, "/", dict(os.environ))))
        return started[-1]

    yield start
    for process in started:
        process.signal_group(9)
        process.reap()
        process.close()


def stance(process: Process) -> Stance:
    return look_at(process.pid, inode_of(process.stdin)).stance


def is_seen_to(process: Process, *wanted: Stance) -> None:
    eventually(lambda: stance(process) in wanted, f"it is not seen to: {stance(process)}")


@pytest.fixture(autouse=True)
def _can_be_seen(start: Callable[..., Process]) -> None:
    process = start("cat")
    eventually(lambda: stance(process) is not Stance.RUNS)
    if stance(process) is Stance.HIDDEN:
        pytest.skip("this system does not say which call a process is in")


@pytest.mark.parametrize(
    "script",
    [
        "exec cat",
        "cat; true",
        "cat /dev/stdin; true",
        "exec 7<&0; exec 0</dev/null; exec cat <&7",
        f"exec {sys.executable} -c 'import sys; sys.stdin.read()'",
        f"""exec {sys.executable} -c '
import sys, threading, time
threading.Thread(target=sys.stdin.read).start()
time.sleep(60)'""",
    ],
)
def test_it_reads_its_input(start: Callable[..., Process], script: str) -> None:
    process = start("sh", "-c", script)
    is_seen_to(process, Stance.READS)
    assert unread(process.stdin) == 0


def test_a_read_from_another_pipe_is_none(start: Callable[..., Process], gate: Gate) -> None:
    process = start("sh", "-c", f"x=$(cat {gate.path}); exec cat")
    gate.await_arrival()
    is_seen_to(process, Stance.SLEEPS)
    gate.open()
    is_seen_to(process, Stance.READS)


def test_another_pipe_as_its_input_is_none(start: Callable[..., Process]) -> None:
    process = start("sh", "-c", "sleep 60 | cat")
    is_seen_to(process, Stance.SLEEPS)


@pytest.mark.parametrize(
    "wait",
    [
        "select.select([0], [], [])",
        "poll = select.poll(); poll.register(0, 1); poll.poll()",
        "epoll = select.epoll(); epoll.register(0, 1); epoll.poll()",
    ],
)
def test_it_polls(start: Callable[..., Process], wait: str) -> None:
    is_seen_to(start(sys.executable, "-c", f"import select; {wait}"), Stance.POLLS)


def test_it_computes(start: Callable[..., Process]) -> None:
    process = start(sys.executable, "-c", "while True: pass")
    before = look_at(process.pid, 0).ticks
    eventually(lambda: look_at(process.pid, 0).ticks > before + 2)
    assert stance(process) is Stance.RUNS


def test_a_child_that_computes_counts(start: Callable[..., Process]) -> None:
    process = start("sh", "-c", f"{sys.executable} -c 'while True: pass' & sleep 60; wait")
    before = look_at(process.pid, 0).ticks
    eventually(lambda: look_at(process.pid, 0).ticks > before + 2)
    is_seen_to(process, Stance.RUNS)


def test_its_input_is_there_until_it_is_read(start: Callable[..., Process], gate: Gate) -> None:
    process = start("sh", "-c", f"cat {gate.path}; exec cat")
    os.write(process.stdin, b"12345")
    assert unread(process.stdin) == 5
    gate.open()
    is_seen_to(process, Stance.READS)
    assert unread(process.stdin) == 0


def test_it_is_gone(start: Callable[..., Process]) -> None:
    process = start("true")
    assert process.wait(30)
    assert stance(process) is Stance.GONE
    assert look_at(2**22 + 1, 0).stance is Stance.GONE
    assert unread(-1) == 0
