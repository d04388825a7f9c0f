"""A worker's pipes: what is still to be written to them, what can be read, and how they end.

A channel knows nothing of requests and answers. Nothing here blocks but `await_events`, which the
owner of a lent worker calls. Whoever uses a channel has the worker: see `Owner`.
"""

from __future__ import annotations

import os
import select
from collections import deque
from contextlib import suppress
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from processpool.core.machine import Machine
from processpool.system.interrupts import INTERRUPTIBLE
from processpool.system.malloc import LARGE, keep_large_blocks
from processpool.system.monitor import WAIT

with suppress(ImportError):  # not Linux: whoever opens a pool is told
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.system.process import Process

SMALL_READ = 64 * 1024
LARGE_READ = 1024 * 1024
"""Bytes asked of a pipe at a time, and once it is seen to carry large messages."""
_IOV_MAX = 512
_JOIN_LIMIT = 256 * 1024
"""Bytes of a request up to which its buffers are copied together."""


class ChannelState(StrEnum):
    """What still passes."""

    OPEN = "open"
    STDIN_CLOSED = "closed for requests"
    """Nobody reads what is written to the worker."""
    STDOUT_CLOSED = "closed for answers"
    """Its output has ended."""
    ENDED = "ended"
    """Both; or its process has ended."""
    CLOSED = "closed"
    """The pool has closed its own ends: their numbers may be somebody else's by now."""


class ChannelEvent(StrEnum):
    """How a channel ends, piece by piece."""

    STDIN_CLOSED = "closed for requests"
    STDOUT_CLOSED = "closed for answers"
    ENDED = "ended"
    CLOSED = "closed"


_S, _E = ChannelState, ChannelEvent
_HALVES = (_E.STDIN_CLOSED, _E.STDOUT_CLOSED)
CHANNEL: dict[tuple[ChannelState, ChannelEvent], ChannelState] = {
    (_S.OPEN, _E.STDIN_CLOSED): _S.STDIN_CLOSED,
    (_S.OPEN, _E.STDOUT_CLOSED): _S.STDOUT_CLOSED,
    (_S.STDIN_CLOSED, _E.STDIN_CLOSED): _S.STDIN_CLOSED,
    (_S.STDIN_CLOSED, _E.STDOUT_CLOSED): _S.ENDED,
    (_S.STDOUT_CLOSED, _E.STDOUT_CLOSED): _S.STDOUT_CLOSED,
    (_S.STDOUT_CLOSED, _E.STDIN_CLOSED): _S.ENDED,
    **{(_S.ENDED, half): _S.ENDED for half in _HALVES},
    **{(state, _E.ENDED): _S.ENDED for state in _S if state is not _S.CLOSED},
    **{(state, _E.CLOSED): _S.CLOSED for state in _S if state is not _S.CLOSED},
    (_S.CLOSED, _E.STDIN_CLOSED): _S.CLOSED,  # a lease may still write to a worker that is gone
}
"""State and event → next state."""
_NOBODY_READS = frozenset({_S.STDIN_CLOSED, _S.ENDED, _S.CLOSED})
_NOBODY_WRITES = frozenset({_S.STDOUT_CLOSED, _S.ENDED, _S.CLOSED})


class Channel(Machine[ChannelState, ChannelEvent]):
    """The pipes of one worker, and their state."""

    __slots__ = (
        "_packets", "_poller", "only_stdout", "poll", "process", "read_size", "stderr", "stdin",
        "stdout", "unsent",
    )  # fmt: skip

    def __init__(self, process: Process, unsent: deque[memoryview | bytes] | None = None) -> None:
        """`unsent` is what is to be written, if somebody else puts it down."""
        super().__init__("a channel", CHANNEL, ChannelState.OPEN)
        self.process = process
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr
        self.unsent: deque[memoryview | bytes] = deque() if unsent is None else unsent
        """What was decided to be written, and could not be yet."""
        self.read_size = SMALL_READ
        self._packets = process.requests >= 0
        self._poller = select.poll()
        self._poller.register(process.stdin, 0)  # tells when nobody reads
        for fd in (process.stdout, process.stderr, process.pidfd):
            self._poller.register(fd, select.POLLIN)
        self.poll = self._poller.poll
        self.only_stdout = [(process.stdout, select.POLLIN)]
        """What `poll` says if there is an answer, and nothing else."""

    @property
    def nobody_reads(self) -> bool:
        """True once the worker was seen to have closed its stdin, or to have ended."""
        return self.state in _NOBODY_READS

    @property
    def has_ended(self) -> bool:
        """True once its output has ended, or its process."""
        return self.state in _NOBODY_WRITES

    # -- writing ---------------------------------------------------------------------------------

    def put_down(self, buffers: Sequence[bytes], size: int) -> None:
        """Note that these are to be written, behind all else; `size` is that of all of them."""
        if size <= _JOIN_LIMIT:
            self.unsent.append(b"".join(buffers))
            return
        self.widen()
        if size >= LARGE:
            keep_large_blocks()
        self.unsent.extend(memoryview(buffer) for buffer in buffers if buffer)

    def write(self) -> bool:
        """Write what is to be written; False if the pipe is full."""
        unsent = self.unsent
        while unsent:
            try:
                written = self._write_some()
            except BlockingIOError:
                return False
            except OSError:  # its end will be seen
                self.stdin_closed()
                return True
            while unsent and written >= len(unsent[0]):
                written -= len(unsent.popleft())
            if written:
                unsent[0] = memoryview(unsent[0])[written:]
        return True

    def _write_some(self) -> int:
        if self._packets or len(self.unsent) == 1:
            return os.write(self.process.stdin, self.unsent[0])
        return os.writev(self.process.stdin, list(islice(self.unsent, _IOV_MAX)))

    def write_on(self, data: bytes) -> None:
        """Write this, as far as the pipe takes it; the rest goes with the next."""
        if data:
            self.unsent.append(data)
        self.write()

    def write_one(self, data: bytes) -> bool:
        """Write this, as there is nothing else to be written; False if the pipe is full."""
        try:
            written = os.write(self.stdin, data)
        except BlockingIOError:
            written = 0
        except OSError:  # its end will be seen; of this it has read nothing
            self.stdin_closed()
            written = 0
        if written == len(data):
            return True
        self.not_written(data, written)
        return False

    def not_written(self, data: bytes, written: int) -> None:
        """So much of this was written past `write`; the rest is still to be."""
        self.unsent.append(memoryview(data)[written:])

    def stdin_closed(self) -> None:
        """Nobody reads any more."""
        if not self.nobody_reads:
            with suppress(KeyError):  # once it was told to exit
                self._poller.unregister(self.stdin)
        self.on(ChannelEvent.STDIN_CLOSED)

    def end_input(self, farewell: bytes) -> None:
        """Write the last words, and nothing more."""
        if self.process.stdin >= 0:
            with suppress(OSError):
                os.write(self.process.stdin, farewell)
            with suppress(KeyError):
                self._poller.unregister(self.stdin)
            self.process.close_stdin()

    def has_no_reader(self) -> bool:
        """True if the worker has closed its stdin; nothing is noted, so anybody may ask."""
        if self.nobody_reads or self.process.stdin < 0:
            return self.nobody_reads
        poller = select.poll()
        poller.register(self.process.stdin, 0)
        return bool(poller.poll(0))

    # -- reading ---------------------------------------------------------------------------------

    def read(self) -> bytes:
        """What can be read now; nothing, too, if its output has ended, which is noted."""
        try:
            data = os.read(self.stdout, self.read_size)
        except BlockingIOError:
            return b""
        if not data:
            self.on(ChannelEvent.STDOUT_CLOSED)
        elif len(data) == SMALL_READ:
            self.widen()
        return data

    def read_last(self) -> bytes:
        """Some of what a worker that has ended had still written; nothing at its end."""
        with suppress(BlockingIOError):
            return os.read(self.stdout, LARGE_READ)
        return b""

    def widen(self) -> None:
        """Give the pipes the size that large messages need, where the system allows it."""
        if self.read_size == SMALL_READ:
            self.read_size = LARGE_READ
            for fd in (self.process.stdin, self.process.stdout):
                with suppress(OSError, ValueError):  # stdin may be closed
                    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, LARGE_READ)

    # -- waiting ---------------------------------------------------------------------------------

    def is_quiet(self) -> bool:
        """True if the worker has not said anything, nor ended, since it was last listened to."""
        return not self.poll(0)

    def await_events(self, timeout: float | None) -> list[int]:
        """Wait until something can be read or written, or the process has ended; the descriptors.

        Args:
            timeout: seconds to wait at most; None for as long as it takes.
        """
        writing = bool(self.unsent) and not self.nobody_reads and self.process.stdin >= 0
        if writing:
            self._poller.modify(self.stdin, select.POLLOUT)
        wait = WAIT if timeout is None else min(max(timeout, 0), WAIT)
        try:
            with INTERRUPTIBLE:
                events = self.poll(wait * 1000)
        finally:
            if writing:
                self._poller.modify(self.stdin, 0)
        return self._seen(events)

    def look(self) -> list[int]:
        """The descriptors of which something is to be told now."""
        return self._seen(self.poll(0))

    def _seen(self, events: list[tuple[int, int]]) -> list[int]:
        for fd, what in events:
            if fd == self.stdin and what & select.POLLERR:
                self.stdin_closed()
        return [fd for fd, _ in events]

    def forget(self, fd: int) -> None:
        """Nothing more is to be told of this descriptor: it has come to its end."""
        self._poller.unregister(fd)

    def close(self) -> None:
        """Close the pool's ends."""
        self.on(ChannelEvent.CLOSED)
        self.unsent.clear()
        self.process.close()
