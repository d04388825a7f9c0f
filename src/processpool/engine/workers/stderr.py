"""What a worker writes to its standard error: which item it belongs to, and how much is kept.

All of it is read, so that a worker which floods it is never blocked, and only its end is kept.
What arrives while a worker has a request belongs to that request; the log tail keeps the last of
everything, for the errors and the displays.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processpool.engine.workers.shares import Shares

TAIL_LIMIT = 16 * 1024
"""Bytes kept of everything a worker has written."""
REQUEST_LIMIT = 1024 * 1024
"""Bytes kept of what a worker has written during one request."""
_CHUNK = 64 * 1024
_MAX_READS = 64


class StderrLog:
    """Reads one worker's standard error, and keeps the end of it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        self._poll = poller.poll
        self.ended = False
        """True once everybody who held the other end has closed it."""
        self.received = 0
        """Bytes that have come so far."""
        self.unclaimed = bytearray()
        self._dropped = 0
        self._tail = bytearray()
        self._decoded = 0, ""
        self._watched = 0, ""
        self.shares: Shares | None = None
        """What divides it between several requests, where a worker helps with that."""

    def read(self) -> bool:
        """Read what is there, without waiting; True if there may be more."""
        shares, begun = self.shares, 0
        for _ in range(_MAX_READS):
            if shares is not None:
                begun = shares.begun()
            if not self._poll(0):  # a quarter of what an exception takes
                return False
            try:
                data = os.read(self.fd, _CHUNK)
            except BlockingIOError:
                return False
            if not data:
                self.ended = True
                return False
            self._keep(data if shares is None else shares.feed(data, begun))
        return True

    def take(self) -> str:
        """What has come since the last call: the stderr of one request."""
        if not self.unclaimed:
            return ""
        text = self.unclaimed.decode("utf-8", "replace")
        if self._dropped:
            text = f"[… {self._dropped} bytes dropped …]\n{text}"
        self.unclaimed.clear()
        self._dropped = 0
        return text

    def since(self, received: int) -> bytes:
        """What has come after so many bytes, of what was not taken yet."""
        count = self.received - received
        return bytes(self.unclaimed[-count:]) if count > 0 else b""

    @property
    def request(self) -> str:
        """What `take` has to give, which stays there."""
        return self.unclaimed.decode("utf-8", "replace")

    @property
    def tail(self) -> str:
        """The last that the worker has written."""
        received = self.received
        if self._decoded[0] != received:
            self._decoded = received, self._tail[-TAIL_LIMIT:].decode("utf-8", "replace")
        return self._decoded[1]

    def watched(self, size: int, end: bytes) -> tuple[int, str]:
        """Return how much the worker has written, and the last of it, as a display shows them.

        What comes with the answer of an item is the same that was seen while that ran, so the count
        never goes back.

        Args:
            size: bytes that the running item has written and not sent yet.
            end: the last of them.
        """
        received = self.received + size
        if received > self._watched[0]:
            tail = self.tail
            if end:
                tail = (self._tail + end)[-TAIL_LIMIT:].decode("utf-8", "replace")
            self._watched = received, tail
        return self._watched

    def note(self, text: str) -> None:
        """Keep in the tail what came another way: with an answer."""
        self._keep_tail(text.encode("utf-8", "replace"))

    def _keep(self, data: bytes) -> None:
        self._keep_tail(data)
        self.unclaimed += data
        surplus = len(self.unclaimed) - REQUEST_LIMIT
        if surplus > 0:
            del self.unclaimed[:surplus]
            self._dropped += surplus

    def _keep_tail(self, data: bytes) -> None:
        self.received += len(data)
        self._tail += data[-TAIL_LIMIT:]
        if len(self._tail) > 4 * TAIL_LIMIT:
            del self._tail[:-TAIL_LIMIT]
