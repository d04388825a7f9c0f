"""One worker as the pool sees it: its process, what it is sent, and what it has said.

A worker's pipes belong to the engine thread, except while the worker is leased: then they belong to
the thread that has it. Whoever writes or reads holds `io`; nothing here ever blocks but `pump`,
which the owner of a leased worker calls to wait. What was decided to be sent lies in `outbox`, in
the order of the decisions.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
from collections import deque
from contextlib import suppress
from itertools import chain, islice
from threading import Lock
from time import sleep
from typing import TYPE_CHECKING, Any

from processpool.engine.stderr import StderrLog
from processpool.errors import CodecError, ProtocolError
from processpool.jobs import Reply

if TYPE_CHECKING:
    from processpool.jobs import Batch
    from processpool.process import Process
    from processpool.protocols import Codec, Framing

SMALL_READ = 64 * 1024
LARGE_READ = 1024 * 1024
"""Bytes asked of a pipe at a time, and once it is seen to carry large messages."""
LINGER = 0.002
"""Seconds that stderr is awaited after the answer of a program that may write it late."""
LATE_PAUSE = 0.0003
"""Seconds after the first late stderr until the rest of it is taken to be there."""
LINGERS = 3
ALWAYS = 1 << 60
_IOV_MAX = 512
_JOIN_LIMIT = 256 * 1024


class Worker:
    """A command worker: a process that reads requests and writes answers on its pipes."""

    def __init__(
        self, number: int, process: Process, framing: Framing, codec: Codec, ready: int = -1
    ) -> None:
        self.id = number
        self.process = process
        self.framing = framing
        self.codec = codec
        self.ready_fd = ready
        """Where a worker under `serve` says that it is ready; -1 once it has."""
        self.stderr = StderrLog(process.stderr)
        self.io = Lock()
        self.outbox: deque[Batch] = deque()
        self.ready = False
        """True once it has been seen to await requests."""
        self.probed = True
        """True if it may not say of itself that it is ready, and must be looked at."""
        self.closed = False
        """True once its descriptors are closed."""
        self.ended = False
        """True once its standard output has ended, or its process."""
        self.lingers = LINGERS
        """Answers for which late stderr is still awaited; `ALWAYS` once some has come late."""
        self._unsent: deque[memoryview | bytes] = deque()
        self._unread_end = False
        self._last_request = 0
        self._read_size = SMALL_READ
        self._poller = select.poll()
        for fd in (process.stdout, process.stderr, process.pidfd):
            self._poller.register(fd, select.POLLIN)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    # -- writing ---------------------------------------------------------------------------------

    def flush(self) -> bool:
        """Write what has been decided; False if the pipe is full."""
        while self.outbox:
            batch = self.outbox.popleft()
            self._stage(list(chain.from_iterable(batch.payloads)))
        return self._write()

    def send(self, buffers: tuple[bytes, ...]) -> bool:
        """Write one request; False if the pipe is full."""
        self._stage(list(buffers))
        return self._write()

    def ask_to_exit(self) -> None:
        """Send the exit message, if there is one, and end the worker's input."""
        if self.process.stdin >= 0:
            with suppress(OSError):
                os.write(self.process.stdin, self.framing.exit_message)
            self.process.close_stdin()

    def untouched(self) -> bool:
        """True if a worker that is dead has read nothing of its last request."""
        if self.process.stdin < 0 or not self._last_request:
            return False
        unread = struct.unpack("i", fcntl.ioctl(self.process.stdin, termios.FIONREAD, b"\0" * 4))[0]
        return unread + sum(map(len, self._unsent)) >= self._last_request

    def _stage(self, buffers: list[bytes]) -> None:
        size = sum(map(len, buffers))
        self._last_request = size
        if size <= _JOIN_LIMIT:
            self._unsent.append(b"".join(buffers))
        else:
            self._widen()
            self._unsent.extend(memoryview(buffer) for buffer in buffers if buffer)

    def _write(self) -> bool:
        unsent = self._unsent
        while unsent:
            try:
                if len(unsent) == 1:
                    written = os.write(self.process.stdin, unsent[0])
                else:
                    written = os.writev(self.process.stdin, list(islice(unsent, _IOV_MAX)))
            except BlockingIOError:
                return False
            except OSError:  # nobody reads it any more: its end will be seen
                self._unread_end = True
                return True
            while unsent and written >= len(unsent[0]):
                written -= len(unsent.popleft())
            if written:
                unsent[0] = memoryview(unsent[0])[written:]
        return True

    def _widen(self) -> None:
        """Give the pipes the size that large messages need, where the system allows it."""
        if self._read_size == SMALL_READ:
            self._read_size = LARGE_READ
            for fd in (self.process.stdin, self.process.stdout):
                with suppress(OSError):
                    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, LARGE_READ)

    # -- reading ---------------------------------------------------------------------------------

    def receive(self) -> list[bytes]:
        """The answers that are complete now, as bytes; without waiting."""
        try:
            data = os.read(self.process.stdout, self._read_size)
        except BlockingIOError:
            return []
        if not data:
            self.ended = True
            return []
        if len(data) == SMALL_READ:
            self._widen()
        return self.framing.feed(data)

    def drain(self) -> list[bytes]:
        """The last answers of a worker that has ended."""
        answers: list[bytes] = []
        while self.framing.error is None:
            try:
                data = os.read(self.process.stdout, LARGE_READ)
            except BlockingIOError:
                break
            if not data:
                break
            answers += self.framing.feed(data)
        self.ended = True
        self.stderr.read()
        return answers

    def decode(self, answers: list[bytes]) -> tuple[list[Any], bool]:
        """The values of answers, and whether all of them are plain; bad ones become a `Reply`."""
        try:
            return list(map(self.codec.decode, answers)), True
        except CodecError:
            return [self._decode_one(answer) for answer in answers], False

    def _decode_one(self, answer: bytes) -> Any:
        try:
            return self.codec.decode(answer)
        except CodecError as error:
            return Reply(error=error, raw=answer)

    # -- driving it by hand ----------------------------------------------------------------------

    def stray_output(self) -> bytes:
        """What it has written to stdout though nobody asked; late stderr goes to the log tail."""
        stray = b""
        for fd, _ in self._poller.poll(0):
            if fd == self.process.stderr:
                self.stderr.read()
                self.stderr.take()
                if self.stderr.ended:
                    self._poller.unregister(fd)
            elif fd == self.process.stdout:
                with suppress(BlockingIOError):
                    stray = os.read(fd, SMALL_READ)
                self.ended = not stray
        return stray

    def pump(self, timeout: float | None) -> list[bytes]:
        """Wait for the worker, read what it says, and write what is still to be written.

        Args:
            timeout: seconds to wait at most; None for as long as it takes.

        Returns:
            the answers that are complete now; none if something else happened, or nothing.
        """
        process = self.process
        writing = bool(self._unsent) and not self._unread_end
        if writing:
            self._poller.register(process.stdin, select.POLLOUT)
        try:
            events = self._poller.poll(None if timeout is None else max(timeout, 0) * 1000)
        finally:
            if writing:
                self._poller.unregister(process.stdin)
        answers: list[bytes] = []
        for fd, _ in events:
            if fd == process.stdout:
                answers += self.receive()
                if self.ended:
                    self._poller.unregister(fd)
            elif fd == process.stderr:
                self.stderr.read()
                if self.stderr.ended:
                    self._poller.unregister(fd)
            elif fd == process.pidfd:
                answers += self.drain()
            else:
                self._write()
        return answers

    def linger(self) -> None:
        """Wait a moment for the stderr that a program may write after its answer."""
        before = self.stderr.received
        if not self.stderr.ended:
            poller = select.poll()
            poller.register(self.stderr.fd, select.POLLIN)
            if poller.poll(LINGER * 1000):
                sleep(LATE_PAUSE)
            self.stderr.read()
        self.lingered(late=self.stderr.received > before)

    def lingered(self, *, late: bool) -> None:
        """Learn whether this program writes to stderr after its answers."""
        if late:
            self.lingers = ALWAYS
        elif self.lingers < ALWAYS:
            self.lingers -= 1

    def fault(self) -> ProtocolError | None:
        """What is wrong with what it has written, if anything is."""
        return self.framing.error

    def close(self) -> None:
        """Close every descriptor of a worker that has ended."""
        self.closed = True
        self._unsent.clear()
        self.outbox.clear()
        if self.ready_fd >= 0:
            os.close(self.ready_fd)
            self.ready_fd = -1
        self.process.close()
