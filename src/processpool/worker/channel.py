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
