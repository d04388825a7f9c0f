"""Starting, signalling and reaping of a worker process.

Three rules hold here. No Python code runs between fork and exec, so a pool may be opened on any
thread. Every process is the leader of a new session and process group: a terminal's Ctrl-C does not
reach it, and its children can be killed along with it. Its death is detected by a pidfd, never by
the end of a pipe, which a grandchild may hold open.
"""

from __future__ import annotations

import errno
import os
import select
import shlex
import shutil
import signal
import subprocess
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from time import monotonic, sleep
from typing import TYPE_CHECKING

from processpool.errors import WorkerStartFailed
from processpool.system.limits import UNLIMITED, Limits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


UNKNOWN = 1 << 15
"""The exit code of a process that was reaped elsewhere; no real exit code has this value."""
_ORPHAN_WAIT = 0.02
"""The seconds to wait for the end of killed orphans that this process must reap."""
_LACKS = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.EINTR)
"""Errors after which the same start may succeed later."""
_PAGE = 4096
_MAX_SHOWN = 200
"""The most characters of a command line that errors show."""


@dataclass(frozen=True)
class Command:
    """A command to run: the program with its arguments, its folder and its environment."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(repr=False)
    secret: Collection[str] = field(default=(), repr=False)
    """The names of variables whose values are never shown."""

    def __str__(self) -> str:
        text = " ".join(shlex.join(self.argv).split())
        return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"

    def with_env(self, extra: Mapping[str, str]) -> Command:
        """Return the same command with further environment variables."""
        return replace(self, env={**self.env, **extra})

    def find(self) -> str:
        """Return the file to execute.

        Raises:
            WorkerStartFailed: it does not exist or is not executable, or the cwd does not exist.
        """
        name = self.argv[0]
        if not os.path.isdir(self.cwd):
            what = "is no folder" if os.path.exists(self.cwd) else "does not exist; create it"
            raise WorkerStartFailed(
                f"cannot start {name!r}: the working directory {self.cwd!r} {what}, "
                "or correct worker.cwd"
            )
        if "/" in name:
            return self._check(os.path.join(self.cwd, name))
        path = self.env.get("PATH", os.defpath)
        found = _find_in(path, name, self.cwd)
        if not os.access(found, os.X_OK):  # nobody found it yet, or it was moved since
            _find_in.cache_clear()
            found = _find_in(path, name, self.cwd)
        if not found:
            where = "the PATH of worker.env" if "PATH" in self.secret else f"PATH ({path})"
            raise WorkerStartFailed(
                f"cannot start {name!r}: no such program in {where}, cwd {self.cwd!r}; "
                "install it, or give its path in worker.command"
            )
        return found

    def _check(self, path: str) -> str:
        name = self.argv[0]
        if not os.path.exists(path):
            raise WorkerStartFailed(
                f"cannot start {name!r}: there is no file {path!r} (cwd {self.cwd!r}); "
                "correct worker.command or worker.cwd"
            )
        if os.path.isdir(path):
            raise WorkerStartFailed(
                f"cannot start {name!r}: {path!r} is a folder; correct worker.command"
            )
        if not os.access(path, os.X_OK):
            raise WorkerStartFailed(
                f"cannot start {name!r}: {path!r} is not executable; "
                f"run chmod +x on it, or name its interpreter in worker.command"
            )
        return path

    def blame(self, path: str, error: OSError) -> None:
        """Raise a better error for a failed start of `path`, unless a later one may succeed.

        Raises:
            WorkerStartFailed: the file cannot be executed like this.
        """
        if error.errno in _LACKS:
            return
        advice = "correct worker.command, worker.env or worker.cwd"
        if error.errno in (errno.ENOEXEC, errno.ENOENT, errno.EACCES):
            advice = "begin a script with #! and its interpreter, or name that in worker.command"
        raise WorkerStartFailed(
            f"cannot start {self.argv[0]!r}: the system cannot run {path!r} "
            f"({error.strerror}); {advice}"
        ) from error


@lru_cache(maxsize=32)
def _find_in(path: str, name: str, cwd: str) -> str:
    """Return where a program is, by a PATH whose relative folders are in `cwd`; "" if nowhere."""
    places = [os.path.join(cwd, place) for place in path.split(os.pathsep)]
    return shutil.which(name, path=os.pathsep.join(places)) or ""


class Process:
    """A child process: its pid, its pidfd, and the parent's ends of its pipes."""

    requests = -1
    """With `packets`: a descriptor to read back what the process has not read of its stdin."""

    def __init__(
        self,
        command: Command,
        pass_fds: tuple[int, ...] = (),
        *,
        packets: bool = False,
        terminal: bool = False,
        limits: Limits = UNLIMITED,
    ) -> None:
        """Start a process.

        Args:
            command: the command to run.
            pass_fds: descriptors that it inherits with the same numbers.
            packets: whether its stdin is a pipe in packet mode: each write is read as a whole, and
                `requests` can read back what has not been read.
            terminal: whether its stdout is a pseudo-terminal, so that it does not buffer output.
            limits: its resource limits.

        Raises:
            WorkerStartFailed: the program or the working directory cannot be used.
            OSError: the system has no process, descriptor or memory left.
        """
        executable = command.find()
        limiter = limits.prefix(executable)
        with ExitStack() as undo, ExitStack() as theirs:
            child_in, self.stdin = _pipe(theirs, undo, os.O_DIRECT if packets else 0)
            self.stdout, child_out = _terminal(undo) if terminal else _pipe(undo, theirs)
            self._terminal = child_out if terminal else -1
            self.stderr, child_err = _pipe(undo, theirs)
            if packets:
                flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
                self.requests = os.open(f"/proc/self/fd/{child_in}", flags)
                undo.callback(os.close, self.requests)
            try:
                popen = subprocess.Popen(
                    [*limiter, *command.argv],
                    executable=limiter[0] if limiter else executable,
                    cwd=command.cwd,
                    env=dict(command.env),
                    stdin=child_in,
                    stdout=child_out,
                    stderr=child_err,
                    start_new_session=True,
                    pass_fds=pass_fds,
                )
            except OSError as error:
                command.blame(executable, error)
                raise
            undo.callback(_end, popen)
            try:
                if not limiter:
                    limits.apply(popen.pid)
                self.pidfd = os.pidfd_open(popen.pid)
            except ProcessLookupError as error:  # it has ended, and is reaped
                how = describe_exit(UNKNOWN)
                raise WorkerStartFailed(
                    f"cannot start {command.argv[0]!r}: it {how} before it could be watched"
                ) from error
            undo.pop_all()
        for fd in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(fd, False)
        self._popen = popen
        self.pid = popen.pid
        _orphaned.discard(popen.pid)
        self._limits = limits
        self._cpu_seconds: float | None = None
        self._reaping = threading.Lock()

    @property
    def exitcode(self) -> int | None:
        """Exit status, or minus the signal's number, or `UNKNOWN`; None until it is reaped."""
        return self._popen.returncode

    @property
    def limit_reached(self) -> str | None:
        """The limit that ended it, as in the YAML; None if there was none, or it is not known."""
        code = self._popen.returncode
        return None if code is None else self._limits.cause(code, self._cpu_seconds)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for its end, without reaping it; return True if it has ended."""
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        return bool(poller.poll(seconds * 1000))

    def signal(self, number: int) -> None:
        """Send a signal to the process only."""
        with self._reaping:
            if self._popen.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Send a signal to the process group: the process and its children."""
        with self._reaping:
            if self._popen.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, number)

    def reap(self) -> int:
        """Collect the status of a process that has ended, and kill the rest of its group.

        The group is signalled while the process is still a zombie, so that its number cannot have
        been reused.
        """
        with self._reaping:
            if self._popen.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
                if self._limits.cpu_time is not None:
                    self._cpu_seconds = cpu_seconds(self.pid)
                known = self._has_status()
                code = self._popen.wait()
                if not known:
                    code = self._popen.returncode = UNKNOWN
                _reap_orphans(self.pid)
                return code
            return self._popen.returncode

    def _has_status(self) -> bool:
        """Return False if its status was lost, as SIGCHLD is ignored or others have reaped it."""
        try:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def close_stdin(self) -> None:
        """Close the process's stdin."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1
        if self.requests >= 0:
            os.close(self.requests)
            self.requests = -1

    def close(self) -> None:
        """Close all descriptors; the process itself is not affected otherwise."""
        self.close_stdin()
        for fd in (self.stdout, self.stderr, self.pidfd):
            os.close(fd)
        if self._terminal >= 0:
            os.close(self._terminal)


_orphaned: set[int] = set()
"""Process groups with killed children of this process that had not died when last checked."""


def _reap_orphans(group: int) -> None:
    """Reap the orphans in a worker's group, if they were reparented to this process.

    That happens if it is the first process of a container, or a child subreaper.
    """
    end = monotonic() + _ORPHAN_WAIT
    while not _reaped(group):
        if monotonic() > end:
            _orphaned.add(group)
            break
        sleep(_ORPHAN_WAIT / 20)
    for other in [other for other in _orphaned if other != group and _reaped(other)]:
        _orphaned.discard(other)


def _reaped(group: int) -> bool:
    """Reap the children of this process in a group; return True if none is left."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def describe_exit(exitcode: int) -> str:
    """Return an exit code as a predicate: `exited with status 3`, `was killed by SIGSEGV`."""
    if exitcode == UNKNOWN:
        return (
            "exited with a status that is unknown, as this process ignores SIGCHLD or something "
            "else in it reaps all children,"
        )
    if exitcode >= 0:
        return f"exited with status {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    return f"was killed by {name}"


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time of a process in seconds, as `limits.cpu_time` counts it; None if reaped.

    The result of `wait4` would include its children.
    """
    ticks = stat_of(pid)[1]
    return None if ticks is None else ticks / os.sysconf("SC_CLK_TCK")


def stat_of(pid: int, thread: str | None = None) -> tuple[str | None, int | None]:
    """Return the state of a process, or of one of its threads, and its CPU time in clock ticks."""
    place = f"/proc/{pid}/stat" if thread is None else f"/proc/{pid}/task/{thread}/stat"
    try:
        fields = read_file(place).rpartition(b") ")[2].split()
    except OSError:
        return None, None
    return (fields[0].decode(), int(fields[11]) + int(fields[12])) if fields else (None, None)


def read_file(path: str) -> bytes:
    """Return what a file in /proc says, for a third of what `open` costs.

    Raises:
        OSError: the file is not there, or must not be read; ProcessLookupError: the process ended.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(iter(lambda: os.read(fd, _PAGE), b""))
    finally:
        os.close(fd)


def _pipe(reader: ExitStack, writer: ExitStack, flags: int = 0) -> tuple[int, int]:
    """Return a pipe whose ends are closed by these stacks."""
    read, write = os.pipe2(os.O_CLOEXEC | flags)
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write


def _terminal(undo: ExitStack) -> tuple[int, int]:
    """Return the two ends of a pseudo-terminal in raw mode, which this stack closes.

    The parent keeps the process's end open too. Otherwise, reading the remaining output of a dead
    process would fail, unlike with pipes.
    """
    ours, theirs = os.openpty()
    undo.callback(os.close, ours)
    undo.callback(os.close, theirs)
    import tty

    tty.setraw(theirs)
    return ours, theirs


def _end(popen: subprocess.Popen[bytes]) -> None:
    with popen:
        popen.kill()
