r"""The pipes of a `serve` worker, in the `framed` protocol.

Three rules hold here. The pipes are moved from 0 and 1 to high descriptors, closed on exec and
replaced after a fork, so that neither the handler nor a child process uses them by accident.
Requests are ``1;<length>\n<data>`` and the exit message is ``0;\n``; anything else ends the worker.
And every answer, ``<length>;<data>``, is written before the next request is returned.
"""

from __future__ import annotations

import fcntl
import io
import os

from processpool.system.malloc import LARGE, keep_large_blocks
from processpool.worker.descriptors import high

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import WriteableBuffer

_HEADER = 22  # "1;", at most 19 digits, newline
_BUFFER = 64 * 1024
_LARGE = 256 * 1024
"""The message size, in bytes, from which the pipe is enlarged, and an answer is not copied."""

_PIPE_SIZE = 1024 * 1024
"""The largest pipe that an unprivileged process may have."""


class BrokenRequestError(Exception):
    """The received bytes are not a request."""


class DisconnectedError(Exception):
    """The reader of the answers is gone."""


class Wire:
    """Takes over descriptors 0 and 1 for the protocol, and replaces 0 by /dev/null."""

    def __init__(self) -> None:
        self._in = high(os.dup(0))
        self._out = high(os.dup(1))
        self.answers = 0
        """The number of answers written."""
        self._open = True
        self._met_large = False
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.close(null)
        os.register_at_fork(after_in_child=self._disown)

    def requests(self, on_arrival: Callable[[], object]) -> Iterator[bytes]:
        """Yield the data of each request, until the exit message or the end of stdin.

        Args:
            on_arrival: called after every read, before a request is yielded.

        Raises:
            BrokenRequestError: the input is not a request, or ends in the middle of one.
        """
        reader = io.BufferedReader(_Input(self._in, on_arrival), _BUFFER)
        readline, read = reader.readline, reader.read
        known, length = b"", 0
        while header := readline(_HEADER):
            if header != known:
                if header == b"0;\n":
                    return
                length = _length(header)
                known = header
                if length >= _LARGE:
                    self._prepare(self._in, length)
            yield _exactly(read, length)

    def answer(self, payload: bytes) -> None:
        """Write one whole answer.

        Raises:
            DisconnectedError: the reader is gone.
        """
        size = len(payload)
        if size < _LARGE:
            message = b"%d;%b" % (size, payload)
        else:
            self._prepare(self._out, size)
            message = b"%d;" % size
        try:
            sent = os.write(self._out, message)
            if sent < len(message):
                _write_all(self._out, message[sent:])
            if size >= _LARGE:
                _write_all(self._out, payload)
        except BrokenPipeError:
            raise DisconnectedError from None
        self.answers += 1

    def close(self) -> None:
        """Close the pipes, so that the pool sees the end of the answers."""
        if self._open:
            self._open = False
            os.close(self._in)
            os.close(self._out)

    def _prepare(self, pipe: int, size: int) -> None:
        """Enlarge a pipe for a large message, and have memory of that size reused."""
        widen(pipe)
        if size >= LARGE and not self._met_large:
            self._met_large = True
            keep_large_blocks()

    def _disown(self) -> None:
        """In a forked child: replace the pipes by /dev/null, so that it does not hold them open."""
        if self._open:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, self._in, inheritable=False)
            os.dup2(null, self._out, inheritable=False)
            os.close(null)


class _Input(io.FileIO):
    """An input file that calls `on_arrival` after every read."""

    def __init__(self, descriptor: int, on_arrival: Callable[[], object]) -> None:
        super().__init__(descriptor, closefd=False)
        self._on_arrival = on_arrival

    def readinto(self, buffer: WriteableBuffer) -> int:
        size = io.FileIO.readinto(self, buffer)
        self._on_arrival()
        return size


def widen(pipe: int) -> None:
    """Enlarge a pipe to 1 MiB, if allowed, which saves context switches for large messages."""
    try:
        if fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) < _PIPE_SIZE:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    except (OSError, AttributeError):
        pass  # not a pipe, not allowed, or not Linux


def _length(header: bytes) -> int:
    digits = header[2:-1]
    if header[:2] == b"1;" and header[-1:] == b"\n" and digits.isdigit():
        return int(digits)
    raise BrokenRequestError(rf"a request must begin with 1;<bytes>\n, got {header!r}")


def _exactly(read: Callable[[int], bytes], length: int) -> bytes:
    try:
        data = read(length)
    except (MemoryError, OverflowError):
        raise BrokenRequestError(f"a request of {length} bytes does not fit in memory") from None
    if len(data) < length:
        raise BrokenRequestError(f"stdin ended after {len(data)} of {length} bytes of a request")
    return data


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
