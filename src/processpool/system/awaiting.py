"""What a program does at this moment: whether it awaits input, polls, sleeps or works.

`/proc/PID/syscall` tells which system call a thread is blocked in, and with which arguments. A read
from the very pipe that the pool writes to is an awaited request; a shell that reads what a command
writes is in a read from another one. Which number a call has depends on the architecture. Where the
file is closed, as it may be to all but the superuser, nothing but sleep can be seen.
"""

from __future__ import annotations

import os
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

from processpool.system.process import read_file, stat_of

_READS = {"x86_64": {0, 19, 3, 145}, "aarch64": {63, 65}}
"""read, readv; then those of 32-bit programs, whose numbers are of calls that do not block."""
_POLLS = {
    "x86_64": {7, 23, 232, 270, 271, 281, 441, 142, 168, 256, 308, 309, 319},
    "aarch64": {22, 72, 73, 441},
}
"""poll, select, epoll_wait, and their variants with a signal mask."""
_MACHINE = os.uname().machine
READS = _READS.get(_MACHINE, set())
POLLS = _POLLS.get(_MACHINE, set())
_WORKING = ("R", "D")
_MEMBERS = 64
"""Processes of a group that are looked at, at most."""


class Stance(StrEnum):
    """What a group of processes does, seen from the pipe that is its input."""

    READS = "reads its input"
    """One of its threads is blocked in a read from the pipe."""
    POLLS = "polls"
    """All sleep, and one of them until something comes, which may be input."""
    SLEEPS = "sleeps"
    """All sleep, in calls that no input ends."""
    HIDDEN = "sleeps, for a reason that cannot be seen"
    RUNS = "runs"
    GONE = "is gone"


class Look(NamedTuple):
    """One look at a group of processes.

    Attributes:
        stance: what it does.
        ticks: the CPU time that it has used, in clock ticks; 0 if it reads its input.
    """

    stance: Stance
    ticks: int


def look_at(pid: int, pipe: int) -> Look:
    """Return what a process and those that it has started do.

    Args:
        pid: the process.
        pipe: the inode of the pipe that its input comes from.
    """
    # Nearly always this one look is enough: it costs a tenth of looking at the whole group.
    if _stance(pid, None, pipe) is Stance.READS:
        return Look(Stance.READS, 0)
    stances = set()
    ticks = 0
    for member in members(pid):
        state, used = stat_of(member)
        if state is None or state in "ZX":
            continue
        ticks += used or 0
        for thread in _listed(f"/proc/{member}/task"):
            stance = _stance(member, thread, pipe)
            if stance is Stance.READS:
                return Look(stance, ticks)
            stances.add(stance)
    for stance in (Stance.RUNS, Stance.POLLS, Stance.HIDDEN, Stance.SLEEPS):
        if stance in stances:
            return Look(stance, ticks)
    return Look(Stance.GONE, ticks)


def is_working(pid: int) -> bool:
    """True if a thread of a process or of its children runs, even if another one reads."""
    return any(
        stat_of(member, thread)[0] in _WORKING
        for member in members(pid)
        for thread in _listed(f"/proc/{member}/task")
    )


def inode_of(fd: int) -> int:
    """Return what is the same at both ends of a pipe."""
    return os.fstat(fd).st_ino


def members(pid: int) -> list[int]:
    """Return a process and those that it has started, as far as they still belong to it."""
    found = [pid]
    for member in found:
        for thread in _listed(f"/proc/{member}/task"):
            with suppress(OSError):
                found.extend(map(int, read_file(f"/proc/{member}/task/{thread}/children").split()))
        if len(found) >= _MEMBERS:
            break
    return found


def _stance(pid: int, thread: str | None, pipe: int) -> Stance:
    """Return what one thread does; the first one, for None."""
    place = f"/proc/{pid}" if thread is None else f"/proc/{pid}/task/{thread}"
    try:
        words = read_file(f"{place}/syscall").split()
    except ProcessLookupError:
        return Stance.GONE
    except OSError:
        words = []
    if words[:1] == [b"running"]:
        return Stance.RUNS
    state = stat_of(pid, thread)[0]
    if state is None or state in "ZX":
        return Stance.GONE
    if state != "S":
        return Stance.RUNS
    if not words or not READS:
        return Stance.HIDDEN
    number = int(words[0])
    if number in POLLS:
        return Stance.POLLS
    if number in READS and len(words) > 1:
        with suppress(OSError):
            if os.stat(f"/proc/{pid}/fd/{int(words[1], 16)}").st_ino == pipe:
                return Stance.READS
    return Stance.SLEEPS


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
