"""What a worker under `serve` tells its pool, beside answers: see `wire/served.py`.

Where another program started it there is no channel, and it behaves as the seed's workers do. Its
modules are imported only where there is one.
"""

from __future__ import annotations

import os
import sys
from time import sleep

from processpool.wire import served
from processpool.wire.served import BEGUN, DECIDED, FAILED, KEPT, LAST, RECALLED, TAKEN
from processpool.worker.descriptors import high

MOMENT = 0.0001
"""Seconds between two looks whether the pool has decided what it recalls."""

MOST_MOMENTS = 0.01
"""The same, between two looks whether the reader of a stream has taken more, at most."""


class Channel:
    """The page and the socket, as the worker has them."""

    def __init__(self, descriptor: int, page: memoryview, token: bytes) -> None:
        import fcntl
        import termios

        self.page = page
        self._descriptor = descriptor
        self._stderr = high(os.dup(2))
        self._mark = served.MARK % token
        unread, count, fionread, stderr = fcntl.ioctl, bytearray(4), termios.FIONREAD, self._stderr

        def has_unread() -> bool:
            try:
                unread(stderr, fionread, count, True)
            except OSError:  # an item has closed it
                return False
            return any(count)

        self._has_unread = has_unread
        os.register_at_fork(after_in_child=self._disown)

    def current(self) -> tuple[int | None, int | None]:
        """The index and the attempt of the item that is running."""
        word = self.page[served.ITEMS_AT + self.page[BEGUN] % served.ITEMS]
        return served.unpack_item(word)

    def span(self, number: int) -> bytes:
        """Return the name of the span that a request is below, as `TRACEPARENT` has it."""
        place = served.span_place(self.page[served.TRACED_AT + number % served.ITEMS])
        return bytes(self.page.cast("B")[place]).rstrip()

    def is_recalled(self, number: int) -> bool:
        """Of a request up to which the pool has recalled: True if it is not to begin.

        The pool has said what it recalls, and may not have decided yet what it will see as begun.
        """
        page = self.page
        while True:
            recalled = page[RECALLED]
            if number > recalled:
                return False
            if page[DECIDED] == recalled:
                kept = page[KEPT]
                if page[RECALLED] == recalled:
                    return number > kept
            sleep(MOMENT)

    def mark_stderr(self, number: int) -> None:
        """Mark where the stderr of a request ends, if it may have written any.

        What the pool has read already needs no mark: it has seen which request had begun by then.
        """
        if self._has_unread():
            try:  # noqa: SIM105 - contextlib takes too long to import
                os.write(self._stderr, b"%b%d\n" % (self._mark, number))
            except OSError:
                pass  # nobody reads it

    def is_streamed(self, number: int) -> bool:
        """True if what the handler of this request yields is to be sent in parts."""
        return bool(self.page[served.STREAMED_AT + number % served.STREAMS] == number)

    def tell_final(self, number: int, message: int) -> None:
        """Tell that the answer of a streamed request is this message, before it is written."""
        self.page[served.FINAL_AT + number % served.STREAMS] = message

    def await_room(self, number: int, sent: int, sizes: list[int], size: int) -> bool:
        """Wait until another part of a request may be sent; False if no more are wanted.

        Args:
            number: the request's.
            sent: how many parts of it were sent.
            sizes: their bytes, as far as they were not known to be taken.
            size: the bytes of the next part.
        """
        page, pause = self.page, MOMENT
        while page[served.STOPPED] != number:
            taken = page[served.PARTS_TAKEN] if page[served.PARTS_TAKEN_OF] == number else 0
            while sizes and len(sizes) > sent - taken:
                sizes.pop(0)
            if len(sizes) < served.PARTS and (not sizes or sum(sizes) + size <= served.PARTS_SIZE):
                return True
            sleep(pause)
            pause = min(2 * pause, MOST_MOMENTS)
        return False

    def tell_failure(self, number: int, retires: bool, texts: tuple[str, str, str]) -> bool:
        """Tell why a request has failed; False if nobody can be told."""
        if not self.page[TAKEN]:
            return False
        try:
            os.write(self._descriptor, served.pack_failure(number, retires, texts))
        except OSError:
            return False
        self.page[FAILED] += 1
        return True

    def say_last(self, number: int) -> None:
        """Say that nothing begins after this request; before it is answered."""
        self.page[LAST] = number

    def _disown(self) -> None:
        """In a fork that a handler made: say nothing any more."""
        self.page = memoryview(bytearray(served.PAGE_SIZE)).cast("Q")
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, self._descriptor, inheritable=False)
        os.close(null)


def open_channel(descriptor: int) -> Channel | None:
    """Say hello to the pool, and hand it the page; None if this is no socket of a pool's."""
    import _socket

    try:
        socket = _socket.socket(fileno=descriptor)
    except OSError:
        return None
    if socket.family != _socket.AF_UNIX or socket.type != _socket.SOCK_SEQPACKET:
        socket.detach()
        return None
    import mmap

    token = os.urandom(8).hex().encode()
    memory = os.memfd_create("processpool-page")
    try:
        os.ftruncate(memory, served.PAGE_SIZE)
        page = memoryview(mmap.mmap(memory, served.PAGE_SIZE)).cast("Q")
        channel = Channel(descriptor, page, token)
        rights = _socket.SOL_SOCKET, _socket.SCM_RIGHTS, memory.to_bytes(4, sys.byteorder)
        socket.sendmsg([served.HELLO + token], [rights])
    except OSError:
        return None
    finally:
        os.close(memory)
        socket.detach()
    return channel
