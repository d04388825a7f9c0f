"""What every framing must offer: a request as bytes, and answers out of bytes as they arrive.

Three rules hold here. A framing does no I/O and belongs to one worker. It never raises because of
what arrived: complete answers are returned, then `error` is set and stays. And its time and memory
are proportional to the bytes, however they are cut: an unfinished answer is collected once and
never searched again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from io import BytesIO

from processpool.errors import ProtocolError

SHOWN = 64
"""Offending bytes that an error shows, at most."""

KEPT = 64 * 1024
"""Bytes of an unfinished or broken answer that are kept for its record, at most."""

SMALL = 64 * 1024
"""Up to this size a request is copied behind its header: cheaper than a second buffer to write."""


class Framing(ABC):
    """One worker's framing; it holds what has arrived and is not complete yet.

    Args:
        max_message: the most bytes that one request or answer may have.
    """

    exit_message: bytes = b""
    """What asks a worker to exit; empty where closing its stdin is the only way."""

    expects = False
    """True if `expect` must be called with every request before it is written."""

    advice = ""
    """What to do about a program that does not speak it at all, where there is anything to say."""

    error: ProtocolError | None = None
    """Set once what arrived breaks the rules; from then on `feed` returns nothing."""

    def __init__(self, max_message: int) -> None:
        self._max = max_message
        self._body = BytesIO()
        self._broken = b""

    @abstractmethod
    def encode(self, payload: bytes) -> tuple[bytes, ...]:
        """Return one request as buffers to write one after another; a large payload is not copied.

        Raises:
            ProtocolError: the framing cannot carry this payload, or it is over the limit.
        """

    @abstractmethod
    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the answers that it completes, in order."""

    def expect(self, request: tuple[bytes, ...]) -> None:  # noqa: B027 - most have nothing to note
        """Note a request that is about to be written: its mark ends the answer that is due."""

    def take_skipped(self) -> list[bytes]:
        """Return the last few messages that came and were not answers."""
        return []

    asks_back = False
    """True if a program may ask something itself: `take_replies` has what to write then."""

    def take_replies(self) -> bytes:
        """Return what must be written to a program that has asked something itself."""
        return b""

    def take_cancellation(self) -> bytes:
        """Return what tells a program that its answer is not awaited any more; then none comes."""
        return b""

    def whole(self, data: bytes) -> bytes | None:
        """The answer, if these bytes are exactly one and nothing of one had arrived; else None.

        An optional short cut for the usual case: `feed` finds the same.
        """
        return None

    @abstractmethod
    def eof(self) -> ProtocolError | None:
        """Return what is wrong if stdout ends here; None between two answers.

        Returns:
            An `UnexpectedEOF` in the middle of an answer; `error` where that is set already.
        """

    @property
    @abstractmethod
    def is_clean(self) -> bool:
        """True if nothing of an unfinished answer has arrived."""

    @property
    def partial(self) -> bytes:
        """What has arrived of an unfinished answer, or what broke the rules: the first 64 KiB."""
        if self.error is not None:
            return self._broken
        with self._body.getbuffer() as body:
            return bytes(body[:KEPT])

    def _check_size(self, payload: bytes) -> None:
        if len(payload) > self._max:
            raise too_large(len(payload), self._max)

    def _collect(self, data: bytes | memoryview) -> None:
        self._body.write(data)

    def _collected(self) -> bytes:
        """Return the body, without a copy, and begin a new one."""
        body, self._body = self._body, BytesIO()
        return body.getvalue()

    def _break(self, problem: str, offending: bytes) -> None:
        """Set `error`; it shows the first of the offending bytes, and `partial` keeps more."""
        self.error = ProtocolError(f"{problem}: {offending[:SHOWN]!r}")
        self._broken = offending[:KEPT]
        self._body = BytesIO()


def too_large(length: int, most: int) -> ProtocolError:
    """Return the error of a message over the limit."""
    return ProtocolError(f"the message has {length} bytes, more than max_message ({most})")
