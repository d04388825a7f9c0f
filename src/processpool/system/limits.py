"""What the system allows a worker: set before its program runs, and named if it ends it.

Two rules hold here. No Python code runs between fork and exec: `nice` and `prlimit` set the limits
and then become the worker's program; where they are not installed, the limits are set from outside,
when it has begun already. And no hard limit is raised above this process's own.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from processpool.errors import WorkerStartFailed
from processpool.system.units import SECONDS, SIZES, format_units

if TYPE_CHECKING:
    from collections.abc import Iterator

CPU_GRACE = 5
"""Seconds of CPU time between SIGXCPU and SIGKILL."""
_INACCURACY = 2.5
"""Seconds by which the kernel may count CPU time differently for the limit and for us."""
_AS, _CPU, _NOFILE = "AS", "CPU", "NOFILE"
_OPTIONS = {_AS: "--as", _CPU: "--cpu", _NOFILE: "--nofile"}
"""What is limited, as `resource` has it behind RLIMIT_ → the option of `prlimit`."""


@dataclass(frozen=True)
class Limits:
    """What the system allows a worker; None leaves a limit as it is."""

    memory: int | None = None
    """Bytes of address space."""
    cpu_time: float | None = None
    """Seconds of CPU time; SIGXCPU at that time, SIGKILL a little later."""
    open_files: int | None = None
    nice: int | None = None
    """Added to this process's own niceness."""

    def prefix(self, path: str) -> tuple[str, ...]:
        """Return what to put before a command line, so that its program starts with these limits.

        Args:
            path: the file of the program.

        Returns:
            nothing, if nothing is limited, or what that takes is not installed, or the system may
            refuse to run the file: then its own error is the better one.

        Raises:
            WorkerStartFailed: this user may not set one of them.
        """
        words: list[str | None] = []
        if self.nice is not None:
            _try_nice(self.nice)
            words += [_find("nice"), "-n", str(self.nice), "--"]
        bounds = [f"{_OPTIONS[kind]}={soft}:{hard}" for kind, soft, hard in self._bounds()]
        if bounds:  # behind `nice`, which they might keep from running
            words += [_find("prlimit"), *bounds, "--"]
        found = [word for word in words if word is not None]
        return tuple(found) if found and len(found) == len(words) and _surely_runs(path) else ()

    def apply(self, pid: int) -> None:
        """Set them for a process that runs already.

        Raises:
            WorkerStartFailed: this user may not set one of them.
        """
        import resource

        try:
            for kind, soft, hard in self._bounds():
                resource.prlimit(pid, _number(kind), (soft, hard))
            if self.nice is not None:
                own = os.getpriority(os.PRIO_PROCESS, 0)
                os.setpriority(os.PRIO_PROCESS, pid, own + self.nice)
        except ProcessLookupError:
            pass  # it has ended already, which will be seen
        except (OSError, ValueError) as error:
            raise _refused(error) from error

    def cause(self, exitcode: int, cpu_seconds: float | None) -> str | None:
        """Return the limit that ended a process, as in the YAML (`limits.cpu_time 10m`), or None.

        A program that gets no memory may end in many ways; only the usual one is recognized.

        Args:
            exitcode: its status, or minus the number of the signal that ended it.
            cpu_seconds: what it had used by then, if that is known.
        """
        if self.memory is not None and exitcode == -signal.SIGSEGV:
            return f"perhaps limits.memory {format_units(self.memory, SIZES)}"
        if self.cpu_time is not None and self._spent(exitcode, cpu_seconds):
            return f"limits.cpu_time {format_units(self.cpu_time, SECONDS)}"
        return None

    def _spent(self, exitcode: int, cpu_seconds: float | None) -> bool:
        """Whether it was the end of its CPU time: at once, or of one that ignores SIGXCPU."""
        if exitcode != -signal.SIGKILL or cpu_seconds is None:
            return exitcode == -signal.SIGXCPU
        bounds = {kind: hard for kind, _, hard in self._bounds()}
        soft = _seconds(self.cpu_time) or 0
        return cpu_seconds >= max(bounds[_CPU] - _INACCURACY, soft)

    def _bounds(self) -> Iterator[tuple[str, int, int]]:
        """Return each limit that is set: what it limits, soft and hard."""
        import resource

        wanted = [
            (_AS, self.memory, self.memory),
            (_CPU, _seconds(self.cpu_time), _seconds(self.cpu_time, CPU_GRACE)),
            (_NOFILE, self.open_files, self.open_files),
        ]
        for kind, soft, hard in wanted:
            if soft is not None and hard is not None:
                most = resource.getrlimit(_number(kind))[1]
                ends = hard if most == resource.RLIM_INFINITY else min(hard, most)
                yield kind, min(soft, ends), ends


UNLIMITED = Limits()


def _number(kind: str) -> int:
    """Return the number of a limit, for the system."""
    import resource

    number: int = getattr(resource, f"RLIMIT_{kind}")
    return number


def _try_nice(more: int) -> None:
    """Be so nice for a moment: the program `nice` would only warn that this is not allowed.

    On Linux that is this thread's own niceness. To give way again is always allowed.
    """
    if more < 0:
        own = os.getpriority(os.PRIO_PROCESS, 0)
        try:
            os.setpriority(os.PRIO_PROCESS, 0, own + more)
            os.setpriority(os.PRIO_PROCESS, 0, own)
        except OSError as error:
            raise _refused(error) from error


def _surely_runs(path: str, depth: int = 4) -> bool:
    """True if the system can run this file: a program of this one's kind, or a script for one.

    `prlimit` would hand one that it cannot run to a shell.
    """
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        return False
    try:
        own, head = _head("/proc/self/exe"), _head(path)
    except OSError:  # it may be run, but not be read
        return False
    if head.startswith(b"#!"):
        line = head[2:].partition(b"\n")[0].replace(b"\t", b" ")
        words = [word for word in line.split(b" ") if word]
        return depth > 0 and bool(words) and _surely_runs(os.fsdecode(words[0]), depth - 1)
    return head[:6] == own[:6] and head[18:20] == own[18:20]  # ELF, its class, its machine


def _head(path: str) -> bytes:
    """As much of a file as the system looks at to find out what it is."""
    with open(path, "rb", buffering=0) as file:
        return file.read(256)


def _find(program: str) -> str | None:
    """Where a program of the system is, whatever the PATH of this process or of the worker says."""
    return shutil.which(program, path=os.defpath)


def _refused(error: Exception) -> WorkerStartFailed:
    return WorkerStartFailed(f"cannot set the worker's limits: {error}; see `limits`")


def _seconds(limit: float | None, more: int = 0) -> int | None:
    return None if limit is None else max(1, math.ceil(limit)) + more
