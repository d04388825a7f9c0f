"""The workers' programs: processes of the simulated machine, with minds of their own.

What a program does next is the driver's choice: read some bytes, begin a request, write a part of
an answer, die. It answers `=key`, or what cannot be decoded, as the request's kind says.
"""

from __future__ import annotations

import signal
from collections import deque
from typing import TYPE_CHECKING

from tests.simulation.kernel import IN, File, Pipe, kernel
from tests.simulation.machine import machine

if TYPE_CHECKING:
    from random import Random

    from tests.simulation.auditor import Auditor

STRAY = b"stray"


class PidFd(File):
    """Readable once the process has ended."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def state(self) -> int:
        return 0 if self.program.status is None else IN


class Program:
    """What runs in one process."""

    def __init__(self, pid: int, auditor: Auditor, *, framed: bool) -> None:
        self.pid = pid
        self.stdin = Pipe(kernel.capacity)
        self.stdout = Pipe(kernel.capacity)
        self.stderr = Pipe(kernel.capacity)
        self.told = Pipe(kernel.capacity)
        self.pidfd = PidFd(self)
        self.status: int | None = None
        """How it has ended; None while it runs."""
        self.is_ready = False
        self.is_hung = False
        self.is_stubborn = False
        """It pays no attention to SIGTERM, nor to the end of its input."""
        self.has_children = False
        """They keep its pipes open when it has ended."""
        self._auditor = auditor
        self._framed = framed
        self._input = bytearray()
        self._requests: deque[bytes | None] = deque()
        self._output = bytearray()

    # -- what may be done ------------------------------------------------------------------------

    @property
    def can_act(self) -> bool:
        """True if there is something to do for it."""
        if self.status is not None or self.is_hung:
            return False
        if not self.is_ready or self._requests:
            return True
        if self._output and self.stdout.has_writer:
            return len(self.stdout.buffer) < self.stdout.capacity or not self.stdout.has_reader
        stdin = self.stdin
        return stdin.has_reader and (bool(stdin.buffer) or not stdin.has_writer)

    @property
    def is_idle(self) -> bool:
        """True if it was asked for nothing: what it writes now, nobody has asked for."""
        asked = self._requests or self._output or self._input or self.stdin.buffer
        return self.status is None and self.is_ready and not asked

    # -- what it does ----------------------------------------------------------------------------

    def act(self, random: Random, *, whole: bool) -> None:
        """One step: with `whole`, as large as possible."""
        if not self.is_ready:
            self.say_ready()
        elif self._output:
            size = len(self._output)
            self._write(size if whole else random.randint(1, size))
        elif self._requests:
            self._begin()
            if whole and self.status is None:
                self._write(len(self._output))
        elif not self.stdin.buffer:
            self.end(0)
        else:
            size = len(self.stdin.buffer)
            self._read(size if whole else random.randint(1, size))
            if whole and self._requests:
                self.act(random, whole=True)

    def say_ready(self) -> None:
        """It awaits requests."""
        self.is_ready = True
        self.told.write(b"1\n")

    def stray(self, *, whole: bool) -> None:
        """Write what nobody has asked for."""
        self.stdout.write(STRAY + b"\n" if whole and not self._framed else STRAY[:3])

    def complain(self) -> None:
        """Write to stderr."""
        self.stderr.write(b"oh\n")

    def close_stdin(self) -> None:
        """It reads no more."""
        self.stdin.end_reading()

    def close_stdout(self) -> None:
        """It writes no more."""
        self.stdout.end_writing()

    def end(self, status: int) -> None:
        """It ends."""
        if self.status is None:
            self.status = status
            self.stdin.end_reading()
            if not self.has_children:
                self.end_children()
            self.pidfd.edges += 1
            machine.version += 1

    def end_children(self) -> None:
        """The last who has its pipes open is gone."""
        for pipe in (self.stdout, self.stderr, self.told):
            pipe.end_writing()

    def signal(self, number: int) -> None:
        """It gets a signal."""
        if number == signal.SIGKILL or (number == signal.SIGTERM and not self.is_stubborn):
            self.end(-number)

    # -- its parts -------------------------------------------------------------------------------

    def _read(self, size: int) -> None:
        self._input += self.stdin.read(size)
        while (request := self._next_request()) is not None:
            self._requests.append(request or None)

    def _next_request(self) -> bytes | None:
        """The next whole request; an empty one is the exit message."""
        head, newline, rest = self._input.partition(b"\n")
        if not newline:
            return None
        if not self._framed:
            self._input = rest
            return bytes(head)
        size = int(head[2:]) if head[:1] == b"1" else 0
        if len(rest) < size:
            return None
        self._input = rest[size:]
        return bytes(rest[:size])

    def _begin(self) -> None:
        request = self._requests.popleft()
        if request is None:
            self.end(0)
            return
        key = request.decode()
        self._auditor.begins(key, self.pid)
        if key.endswith("x"):
            self.end(-signal.SIGSEGV)
            return
        body = (b"\xff" if key.endswith("e") else b"=") + request
        self._output += b"%d;%b" % (len(body), body) if self._framed else body + b"\n"

    def _write(self, size: int) -> None:
        if not self.stdout.has_reader:
            self.end(-signal.SIGPIPE)
        elif self.stdout.has_writer:
            del self._output[: self.stdout.write(bytes(self._output[:size]))]
        else:
            self.end(1)


class Process:
    """A process as the parent has it, in the place of `system.process.Process`."""

    requests = -1
    limit_reached = None

    def __init__(self, program: Program) -> None:
        self.program = program
        self.pid = program.pid
        self.stdin = kernel.open(program.stdin.writer)
        self.stdout = kernel.open(program.stdout.reader)
        self.stderr = kernel.open(program.stderr.reader)
        self.pidfd = kernel.open(program.pidfd)
        self.exitcode: int | None = None
        """How it has ended; None until it was reaped."""

    def wait(self, seconds: float) -> bool:
        program = self.program
        if program.status is None:
            machine.block(lambda: program.status is not None, machine.now + seconds)
        return program.status is not None

    def signal(self, number: int) -> None:
        if self.exitcode is None:
            self.program.signal(number)

    signal_group = signal

    def reap(self) -> int:
        if self.exitcode is None:
            self.program.end(-signal.SIGKILL)
            if self.program.has_children:
                self.program.end_children()
            assert self.program.status is not None
            self.exitcode = self.program.status
        return self.exitcode

    def close_stdin(self) -> None:
        if self.stdin >= 0:
            kernel.close(self.stdin)
            self.stdin = -1

    def close(self) -> None:
        self.close_stdin()
        for fd in (self.stdout, self.stderr, self.pidfd):
            kernel.close(fd)
