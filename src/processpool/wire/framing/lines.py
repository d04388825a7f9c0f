r"""The `lines` protocol: one line in, one line out.

Two rules hold here. A line ends with ``\n``, which is not part of the message; a ``\r`` before it
is, since it may be data. And a message that contains a newline is rejected before it is sent: it
would be two requests, and all later answers would go to the wrong items.
"""

from __future__ import annotations

from processpool.errors import CodecError, ProtocolError, UnexpectedEOF
from processpool.wire.framing.base import SMALL_MESSAGE, Framing


class LinesFraming(Framing):
    """A framing for answers of one line."""

    def __init__(self, max_message: int) -> None:
        super().__init__(max_message)
        self._arrived = 0  # the number of buffered bytes of an unfinished line

    def encode(self, payload: bytes) -> tuple[bytes, ...]:
        """Return the line; raise `CodecError` if it has a newline, `ProtocolError` if too long."""
        self._check_size(payload)
        newline = payload.find(b"\n")
        if newline >= 0:
            raise CodecError(
                f"a message of the lines protocol must have no newline, this has one at byte "
                f"{newline}"
            )
        if len(payload) <= SMALL_MESSAGE:
            return (payload + b"\n",)
        return (payload, b"\n")

    def encode_many(self, payloads: list[bytes]) -> list[tuple[bytes, ...]] | None:
        """Return many lines; None if one of them is large, too long, or has a newline."""
        if max(map(len, payloads)) > min(self._max, SMALL_MESSAGE) or b"\n" in b"".join(payloads):
            return None
        return [(payload + b"\n",) for payload in payloads]

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the lines that they complete, in order."""
        if self.error is not None:
            return []
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._arrived:
            self._finish(lines)
        if self.error is None and len(data) > self._max:
            self._check(lines)
        if self.error is None and rest:
            self._begin(rest)
        return lines

    def whole(self, data: bytes) -> bytes | None:
        """Return the line if `data` is exactly one; see `Framing.whole`."""
        end = len(data) - 1
        if self._arrived or data.find(b"\n") != end or not 0 <= end <= self._max:
            return None
        if self.error is not None:
            return None
        return data[:end]

    def eof(self) -> ProtocolError | None:
        """Return the error if stdout ends here; None between two lines."""
        if self.error is not None:
            return self.error
        if self._arrived:
            return UnexpectedEOF(
                f"stdout ended in the middle of a line, after {self._arrived} bytes without newline"
            )
        return None

    @property
    def is_clean(self) -> bool:
        """True if no part of an unfinished line was received."""
        return not (self._arrived or self.error)

    def _finish(self, lines: list[bytes]) -> None:
        """Put the buffered part of a line in front of the first line."""
        self._arrived += len(lines[0])
        self._collect(lines[0])
        lines[0] = self._collected()
        if self._arrived > self._max:
            self._refuse(lines[0])
            lines.clear()
        self._arrived = 0

    def _check(self, lines: list[bytes]) -> None:
        """Set `error` at the first line over the limit, and keep the lines before it."""
        for index, line in enumerate(lines):
            if len(line) > self._max:
                self._refuse(line)
                del lines[index:]
                return

    def _begin(self, rest: bytes) -> None:
        """Buffer the beginning of an unfinished line."""
        self._arrived += len(rest)
        self._collect(rest)
        if self._arrived > self._max:
            self._refuse(self._collected())

    def _refuse(self, line: bytes) -> None:
        self._break(f"the answer is longer than max_message ({self._max})", line)
