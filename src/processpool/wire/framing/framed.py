r"""The `framed` protocol: every message is preceded by its length in bytes.

Three rules hold here. A request is ``1;<length>\n<data>``, the exit message ``0;\n`` and an answer
``<length>;<data>``, byte for byte as ssigwart/process-pool speaks it. A length is one to nineteen
ASCII digits, without sign, space, underscore or digits of other scripts, which `int` would accept.
And a length is checked before memory of its size is allocated.
"""

from __future__ import annotations

from processpool.errors import ProtocolError, UnexpectedEOF
from processpool.wire.framing.base import SMALL_MESSAGE, Framing

_DIGITS = 19
"""The most digits of a length: those of the largest signed 64-bit number."""

_COMMON = {b"%d" % length: length for length in range(2048)}
"""The values of short lengths; looking one up takes a third of the time of checking and `int`."""


class FramedFraming(Framing):
    """A framing for answers that are preceded by their length and a semicolon."""

    exit_message = b"0;\n"
    advice = (
        "if the program does not speak `framed`, which is the protocol where none is given, write "
        "`protocol: lines`, or its own name or description (`processpool presets` lists them)"
    )

    def __init__(self, max_message: int) -> None:
        super().__init__(max_message)
        self._header = b""  # the digits of a length whose ";" was not received yet
        self._length = 0  # the length of the unfinished answer
        self._missing = 0  # the number of its bytes not received yet; 0 between two answers

    def encode(self, payload: bytes) -> tuple[bytes, ...]:
        r"""Return ``1;<length>\n<data>``; raise `ProtocolError` over the limit."""
        self._check_size(payload)
        if len(payload) <= SMALL_MESSAGE:
            return (b"1;%d\n%b" % (len(payload), payload),)
        return (b"1;%d\n" % len(payload), payload)

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the answers that they complete, in order."""
        answers: list[bytes] = []
        if self.error is not None:
            return answers
        if self._missing:
            start = self._continue(data)
            if self._missing:
                return answers
            answers.append(self._collected())
        else:
            start = 0
            if self._header:
                data, self._header = self._header + data, b""
        self._split(data, start, answers)
        return answers

    def whole(self, data: bytes) -> bytes | None:
        """Return the answer if `data` is exactly one; see `Framing.whole`."""
        if self._missing or self._header or self.error is not None:
            return None
        semicolon = data.find(b";", 0, _DIGITS + 1)
        digits = data[:semicolon]
        length = len(data) - semicolon - 1
        if semicolon > 0 and digits.isdigit() and int(digits) == length <= self._max:
            return data[semicolon + 1 :]
        return None

    def eof(self) -> ProtocolError | None:
        """Return the error if stdout ends here; None between two answers."""
        if self.error is not None:
            return self.error
        if self._missing:
            arrived = self._length - self._missing
            return UnexpectedEOF(f"stdout ended after {arrived} of {self._length} bytes")
        if self._header:
            return UnexpectedEOF(f"stdout ended in the middle of a length: {self._header!r}")
        return None

    @property
    def is_clean(self) -> bool:
        """True if no part of an unfinished answer was received."""
        return not (self._missing or self._header or self.error)

    @property
    def partial(self) -> bytes:
        """The received part of an unfinished answer; of its length, if that is incomplete."""
        return self._header or super().partial

    def _continue(self, data: bytes) -> int:
        """Add to the unfinished answer; return how many bytes belonged to it."""
        used = min(self._missing, len(data))
        self._collect(data if used == len(data) else memoryview(data)[:used])
        self._missing -= used
        return used

    def _split(self, data: bytes, start: int, answers: list[bytes]) -> None:
        """Append the answers in `data[start:]` to `answers`; buffer the rest."""
        find, known, append, limit = data.find, _COMMON.get, answers.append, self._max
        end = len(data)
        while start < end:
            semicolon = find(b";", start, start + _DIGITS + 1)
            if semicolon < 0:
                self._begin_header(data[start:])
                return
            digits = data[start:semicolon]
            length = known(digits)
            if length is None:
                if not digits.isdigit():
                    self._break("an answer must begin with its length and ';', got", data[start:])
                    return
                length = int(digits)
            if length > limit:
                self._break(f"the answer is longer than max_message ({limit})", data[start:])
                return
            body = semicolon + 1
            start = body + length
            if start > end:
                self._begin_body(length, memoryview(data)[body:])
                return
            append(data[body:start])

    def _begin_header(self, arrived: bytes) -> None:
        """Buffer the digits of a length whose semicolon was not received; reject anything else."""
        header = arrived[: _DIGITS + 1]
        if not header.isdigit():
            self._break("an answer must begin with its length and ';', got", arrived)
        elif len(header) > _DIGITS:
            self._break(f"an answer's length has more than {_DIGITS} digits", arrived)
        else:
            self._header = header

    def _begin_body(self, length: int, arrived: memoryview) -> None:
        self._length = length
        self._missing = length - len(arrived)
        self._collect(arrived)
