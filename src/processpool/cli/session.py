"""One program, driven by hand: what is written to it, what comes back, and what it does then.

For looking at a program, not for work: whatever comes is read until the program awaits input again,
has ended, or has taken too long.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from processpool.system.awaiting import is_working
from processpool.system.process import Process, describe_exit
from processpool.system.readiness import Probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from processpool.system.awaiting import Stance
    from processpool.system.process import Command

_CHUNK = 1 << 16
_SHORTEST, _LONGEST = 0.0005, 0.02
"""Seconds between two looks."""
_MOST = 1 << 22
"""Bytes that are kept of what comes at a time."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came in answer to something.

    Attributes:
        stdout, stderr: the bytes that came.
        seconds: how long the last of stdout took to come; the whole time if nothing came.
        awaits: the program awaits input again.
        stance: what it was seen to do last.
        ended: it has ended.
    """

    stdout: bytes
    stderr: bytes
    seconds: float
    awaits: bool
    stance: Stance
    ended: bool


class Session:
    """A program that runs, until the session is left."""

    def __init__(self, command: Command, *, terminal: bool = False) -> None:
        """Start it.

        Raises:
            WorkerStartFailed: the program or the folder is not there.
        """
        self._process = Process(command, terminal=terminal)
        self._poller = select.poll()
        for fd in (self._process.stdout, self._process.stderr, self._process.pidfd):
            self._poller.register(fd, select.POLLIN)
        self._unsent = b""
        self._early_out, self._early_err = bytearray(), bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.signal_group(signal.SIGKILL)
        self._process.reap()
        self._process.close()

    def write(self, data: bytes) -> None:
        """Write this, as far as the pipe takes it; the rest goes while something is awaited."""
        self._unsent += data
        if self._process.stdin < 0:
            self._unsent = b""
            return
        try:
            written = os.write(self._process.stdin, self._unsent)
        except BlockingIOError:
            written = 0
        except OSError:  # it reads no more: that will be seen
            written = len(self._unsent)
        self._unsent = self._unsent[written:]

    def end_input(self, limit: float) -> None:
        """Let it see the end of its input, once it has what was written, or the time is over."""
        end = monotonic() + limit
        while self._unsent and monotonic() < end:
            self._pump(_LONGEST, self._early_out, self._early_err)
        self._process.close_stdin()

    def listen(
        self,
        limit: float,
        *,
        enough: Callable[[bytes], bool] | None = None,
        to_the_end: bool = False,
    ) -> Heard:
        """Read what comes until it awaits input again, or ends, or `limit` seconds are over.

        Args:
            limit: seconds.
            enough: given what came on stdout, says whether the program need not be waited for.
            to_the_end: wait until it ends, whatever else it does.
        """
        began = last = monotonic()
        probe = Probe(self._process, began)
        out, self._early_out = self._early_out, bytearray()
        err, self._early_err = self._early_err, bytearray()
        awaits = ended = False
        while not (awaits or ended):
            now = monotonic()
            if now - began >= limit or (enough is not None and enough(bytes(out))):
                break
            awaits = not to_the_end and not self._unsent and probe.is_ready(now)
            awaits = awaits and not is_working(self._process.pid)  # a thread reads, others compute
            wait = 0 if awaits else min(max(probe.next_at - now, _SHORTEST), _LONGEST)
            ended = self._pump(wait, out, err)
            if len(out) > _MOST:
                break
            if out and self._came:
                last = monotonic()
        self._pump(0, out, err)
        while self._came:
            self._pump(0, out, err)
        seconds = (last if out else monotonic()) - began
        return Heard(bytes(out), bytes(err), seconds, awaits, probe.stance, ended)

    @property
    def exit_sentence(self) -> str | None:
        """How it has ended; None while it runs."""
        if not self._process.wait(0):
            return None
        return describe_exit(self._process.reap())

    @property
    def exit_status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.reap() if self._process.wait(0) else None

    _came = False
    """True if something has come on stdout in the last look."""

    def _pump(self, seconds: float, out: bytearray, err: bytearray) -> bool:
        """Read and write what can be; True if it has ended."""
        self._came = False
        if self._unsent:
            self.write(b"")
        ended = False
        for fd, _ in self._poller.poll(seconds * 1000):
            if fd == self._process.pidfd:
                ended = True
                continue
            data = b""
            with suppress(OSError):
                data = os.read(fd, _CHUNK)
            if not data:
                self._poller.unregister(fd)
            elif fd == self._process.stdout:
                out += data
                self._came = True
            else:
                err += data
        return ended
