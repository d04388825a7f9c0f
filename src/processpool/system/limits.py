"""Resource limits of a worker, set before its program runs.

Two rules hold here. No Python code runs between fork and exec: the programs `nice` and `prlimit`
set the limits and then execute the worker's program. If they are not installed, the limits are set
from outside, just after the program has started. And no hard limit is raised above this process's
own.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
from typing import TYPE_CHECKING, NamedTuple

from processpool.errors import WorkerStartFailed
from processpool.system.units import SECONDS, SIZES, format_units

if TYPE_CHECKING:
    from collections.abc import Iterator

CPU_GRACE = 5
"""The seconds of CPU time between SIGXCPU and SIGKILL."""
_INACCURACY = 2.5
"""The seconds by which the kernel's two measurements of CPU time, for limits and /proc, differ."""
_AS, _CPU, _NOFILE = "AS", "CPU", "NOFILE"
_OPTIONS = {_AS: "--as", _CPU: "--cpu", _NOFILE: "--nofile"}
"""The options of `prlimit`, by the names that follow RLIMIT_ in `resource`."""


class Limits(NamedTuple):
    """The resource limits of a worker; None leaves a limit unchanged."""

    memory: int | None = None
    """The most address space, in bytes."""
    cpu_time: float | None = None
    """The most CPU time, in seconds: SIGXCPU is sent then, SIGKILL `CPU_GRACE` later."""
    open_files: int | None = None
    nice: int | None = None
    """The increment of this process's own niceness."""

    def prefix(self, path: str) -> tuple[str, ...]:
        """Return the words to put before a command line, to run its program with these limits.

        Args:
            path: the program's file.

        Returns:
            the words; none if there are no limits, if `nice` or `prlimit` is not installed, or if
            the system might not be able to run the file, as its own error is better than theirs.

        Raises:
            WorkerStartFailed: this user may not set one of the limits.
        """
        words: list[str | None] = []
        if self.nice is not None:
            _try_nice(self.nice)
            words += [_find("nice"), "-n", str(self.nice), "--"]
        bounds = [f"{_OPTIONS[kind]}={soft}:{hard}" for kind, soft, hard in self._bounds()]
        if bounds:  # after `nice`, which could fail under these limits
            words += [_find("prlimit"), *bounds, "--"]
        found = [word for word in words if word is not None]
        return tuple(found) if found and len(found) == len(words) and _surely_runs(path) else ()

    def apply(self, pid: int) -> None:
        """Set the limits of a running process.

        Raises:
            WorkerStartFailed: this user may not set one of the limits.
        """
        import resource

        try:
            for kind, soft, hard in self._bounds():
                resource.prlimit(pid, _number(kind), (soft, hard))
            if self.nice is not None:
                own = os.getpriority(os.PRIO_PROCESS, 0)
                os.setpriority(os.PRIO_PROCESS, pid, own + self.nice)
        except ProcessLookupError:
            pass  # it has ended already, which the pool will notice
        except (OSError, ValueError) as error:
            raise _refused(error) from error

    def cause(self, exitcode: int, cpu_seconds: float | None) -> str | None:
        """Return the limit that ended a process, as in the YAML (`limits.cpu_time 10m`), or None.

        A program without memory may end in many ways; only the most common one is recognized.

        Args:
            exitcode: its exit status, or minus the number of the signal that ended it.
            cpu_seconds: the CPU time that it had used, or None if that is not known.
        """
        if self.memory is not None and exitcode == -signal.SIGSEGV:
            return f"perhaps limits.memory {format_units(self.memory, SIZES)}"
        if self.cpu_time is not None and self._spent(exitcode, cpu_seconds):
            return f"limits.cpu_time {format_units(self.cpu_time, SECONDS)}"
        return None

    def _spent(self, exitcode: int, cpu_seconds: float | None) -> bool:
        """Return whether a process was ended by its CPU limit, soft or (ignoring SIGXCPU) hard."""
        if exitcode != -signal.SIGKILL or cpu_seconds is None:
            return exitcode == -signal.SIGXCPU
        bounds = {kind: hard for kind, _, hard in self._bounds()}
        soft = _seconds(self.cpu_time) or 0
        return cpu_seconds >= max(bounds[_CPU] - _INACCURACY, soft)

    def _bounds(self) -> Iterator[tuple[str, int, int]]:
        """Yield the limits that are set, as (name, soft, hard)."""
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
    """Return the system's number of a limit, RLIMIT_*."""
    import resource

    number: int = getattr(resource, f"RLIMIT_{kind}")
    return number


def _try_nice(more: int) -> None:
    """Try whether this user may lower the niceness, as the program `nice` would only warn.

    On Linux, this changes only the calling thread's niceness; raising it again is always allowed.
    """
    if more < 0:
        own = os.getpriority(os.PRIO_PROCESS, 0)
        try:
            os.setpriority(os.PRIO_PROCESS, 0, own + more)
            os.setpriority(os.PRIO_PROCESS, 0, own)
        except OSError as error:
            raise _refused(error) from error


def _surely_runs(path: str, depth: int = 4) -> bool:
    """Return whether the system can run this file: an ELF file like Python's, or a script for one.

    `prlimit` would pass a file that it cannot run to a shell.
    """
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        return False
    try:
        own, head = _head("/proc/self/exe"), _head(path)
    except OSError:  # executable, but not readable
        return False
    if head.startswith(b"#!"):
        line = head[2:].partition(b"\n")[0].replace(b"\t", b" ")
        words = [word for word in line.split(b" ") if word]
        return depth > 0 and bool(words) and _surely_runs(os.fsdecode(words[0]), depth - 1)
    return head[:6] == own[:6] and head[18:20] == own[18:20]  # ELF, its class, its machine


def _head(path: str) -> bytes:
    """Return the bytes at the beginning of a file by which the kernel recognizes its format."""
    with open(path, "rb", buffering=0) as file:
        return file.read(256)


def _find(program: str) -> str | None:
    """Return the path of a system program, independent of this process's and the worker's PATH."""
    return shutil.which(program, path=os.defpath)


def _refused(error: Exception) -> WorkerStartFailed:
    return WorkerStartFailed(f"cannot set the worker's limits: {error}; see `limits`")


def _seconds(limit: float | None, more: int = 0) -> int | None:
    return None if limit is None else max(1, math.ceil(limit)) + more
