"""The interface of a framing: it encodes requests, and finds answers in the bytes that arrive.

Three rules hold here. A framing does no I/O, and belongs to one worker. It never raises because of
received bytes: it returns the complete answers, then sets `error` for good. And its time and memory
are proportional to the bytes, however these are split into reads: an unfinished answer is buffered
once, and never searched again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from io import BytesIO

from processpool.errors import ProtocolError

MAX_SHOWN = 64
"""The most offending bytes that an error shows."""

MAX_KEPT = 64 * 1024
"""The most bytes of an unfinished or invalid answer that are kept for the item's record."""

SMALL_MESSAGE = 64 * 1024
"""The size up to which a request is copied into one buffer: cheaper than writing two."""


class Framing(ABC):
    """The framing of one worker, with the bytes of an unfinished answer.

    Args:
        max_message: the most bytes of a request or an answer.
    """

    exit_message: bytes = b""
    """The message that asks a worker to exit; empty if closing its stdin is the only way."""

    expects = False
    """True if `expect` must be called with every request before it is written."""

    advice = ""
    """A hint for errors about a program that does not seem to speak this protocol at all."""

    error: ProtocolError | None = None
    """Set once the received bytes violate the protocol; from then on `feed` returns nothing."""

    def __init__(self, max_message: int) -> None:
        self._max = max_message
        self._body = BytesIO()
        self._broken = b""

    @abstractmethod
    def encode(self, payload: bytes) -> tuple[bytes, ...]:
        """Return a request as buffers to write in this order; a large payload is not copied.

        Raises:
            ProtocolError: the payload cannot be sent by this protocol, or is too large.
        """

    def encode_many(self, payloads: list[bytes]) -> list[tuple[bytes, ...]] | None:
        """Return many requests at once; None if they are to be encoded one by one.

        An optional fast path: `encode` finds the same, and what is wrong with which.
        """
        return None

    @abstractmethod
    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the answers that they complete, in order."""

    def expect(self, request: tuple[bytes, ...]) -> None:  # noqa: B027 - most have nothing to note
        """Note a request that is about to be written, whose mark or id its answer will have."""

    def take_skipped(self) -> list[bytes]:
        """Return, and forget, the last few messages that were not answers."""
        return []

    asks_back = False
    """True if the program may send requests too, to which `take_replies` has the replies."""

    def take_replies(self) -> bytes:
        """Return, and forget, the replies that must be written to the program's own requests."""
        return b""

    def take_cancellation(self) -> bytes:
        """Return what tells a program that its answer is not awaited any more; then none comes."""
        return b""

    def whole(self, data: bytes) -> bytes | None:
        """Return the answer if `data` is exactly one, and no part of one was received; else None.

        An optional fast path for the usual case; `feed` finds the same.
        """
        return None

    @abstractmethod
    def eof(self) -> ProtocolError | None:
        """Return the error if stdout ends here; None between two answers.

        Returns:
            An `UnexpectedEOF` in the middle of an answer; `error`, if that is set already.
        """

    @property
    @abstractmethod
    def is_clean(self) -> bool:
        """True if no part of an unfinished answer was received."""

    @property
    def partial(self) -> bytes:
        """The first 64 KiB of an unfinished answer, or of the bytes that violate the protocol."""
        if self.error is not None:
            return self._broken
        with self._body.getbuffer() as body:
            return bytes(body[:MAX_KEPT])

    def _check_size(self, payload: bytes) -> None:
        if len(payload) > self._max:
            raise too_large(len(payload), self._max)

    def _collect(self, data: bytes | memoryview) -> None:
        self._body.write(data)

    def _collected(self) -> bytes:
        """Return the buffered bytes without copying them, and start a new buffer."""
        body, self._body = self._body, BytesIO()
        return body.getvalue()

    def _break(self, problem: str, offending: bytes) -> None:
        """Set `error`, which shows the first offending bytes; `partial` keeps more of them."""
        self.error = ProtocolError(f"{problem}: {offending[:MAX_SHOWN]!r}")
        self._broken = offending[:MAX_KEPT]
        self._body = BytesIO()


def too_large(length: int, most: int) -> ProtocolError:
    """Return the error for a message of `length` bytes, more than `most`."""
    return ProtocolError(f"the message has {length} bytes, more than max_message ({most})")
