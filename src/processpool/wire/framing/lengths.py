r"""Framing of answers that begin with a header with their length in bytes.

Three rules hold here. A length is checked before memory of its size is allocated. A header has at
most 4 KiB, and its pattern is tried only at bytes where it can end, so the time is proportional to
the bytes. And bytes that cannot begin a header are an error at once, without waiting for its end.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import TYPE_CHECKING, Any

from processpool.errors import ProtocolError, UnexpectedEOF
from processpool.wire.framing.declared_framing import DeclaredFraming
from processpool.wire.framing.regex import header_ends

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.wire.framing.declaration import Declaration

    Header = Callable[[bytes, int, int], tuple[int, int]]
    """A function of the data, the position of a header, and the position up to which its end was
    searched for. It returns the position and length of the body: (0, 0) if the header is
    incomplete, length -1 if the header itself is the answer. Raises `NotAHeader`."""

MAX_HEADER = 4096
"""The most bytes of a header."""
_DIGITS = 19
_MAX_VARINT_BYTES = 10
_MORE = 0x80
_UNFINISHED = 0, 0
_FIXED: dict[str, Any] = {"u32be": Struct(">I").unpack_from, "u32le": Struct("<I").unpack_from}


class NotAHeader(Exception):
    """The received bytes cannot begin a header; the message says what was expected."""


class LengthFraming(DeclaredFraming):
    """A framing for answers whose headers give their length."""

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        rule = declaration.answer
        self._read_header = _reader(rule.length or "")
        self._after = rule.after.encode()
        self._keeps_header = rule.keep
        self._fixed = _FIXED.get(rule.length or "", _FIXED["u32be"])
        self._may_be_quick = rule.length in _FIXED and not (rule.after or rule.keep)
        self._is_quick &= self._may_be_quick
        self._header = b""
        """The received part of an incomplete header."""
        self._begins = 0
        """The position in the data of the message whose header is being read."""
        self._length = 0
        self._missing = 0
        """The bytes of the unfinished answer and the text after it: in all, and still missing."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the answers that they complete, in order."""
        if self.error is not None:
            return []
        if self._is_quick and len(data) >= 4 and self._fixed(data)[0] == len(data) - 4 <= self._max:
            return [data[4:]]
        answers = super().feed(data)
        self._is_quick &= self._may_be_quick
        return answers

    def whole(self, data: bytes) -> bytes | None:
        """Return the answer if `data` is exactly one; see `Framing.whole`."""
        if self.error is not None:
            return None
        if self._is_quick and len(data) >= 4 and self._fixed(data)[0] == len(data) - 4 <= self._max:
            return data[4:]
        if not self.is_clean:
            return None
        try:
            begin, length = self._read_header(data, 0, 0)
        except NotAHeader:
            return None
        stop = begin + length
        if not begin or not 0 <= length <= self._max:
            return None
        if stop > len(data) or data[stop:] != self._after:
            return None
        answer = data[0 if self._keeps_header else begin : stop]
        return None if self._skip is not None and self._skip(answer) else answer

    def eof(self) -> ProtocolError | None:
        """Return the error if stdout ends here; None between two answers."""
        if self.error is not None:
            return self.error
        if self._missing:
            arrived = self._length - self._missing
            return UnexpectedEOF(f"stdout ended after {arrived} of {self._length} bytes")
        if self._header:
            return UnexpectedEOF(f"stdout ended in the middle of a header: {self._header[:64]!r}")
        return None

    @property
    def is_clean(self) -> bool:
        """True if no part of an unfinished answer was received."""
        return not (self._missing or self._header or self.error)

    @property
    def partial(self) -> bytes:
        """The received part of an unfinished answer; of its header, if that is incomplete."""
        return self._header or super().partial

    def _messages(self, data: bytes) -> list[bytes]:
        messages: list[bytes] = []
        begin = searched = 0
        if self._missing:
            begin = min(self._missing, len(data))
            self._keep(memoryview(data)[:begin])
            self._missing -= begin
            if self._missing:
                return messages
            self._finish(self._kept(), messages)
        elif self._header:
            searched = len(self._header)
            data, self._header = self._header + data, b""
        try:
            self._split(data, begin, searched, messages)
        except NotAHeader as problem:
            self._break(f"{problem}, got", data[self._begins :])
        return messages

    def _split(self, data: bytes, begin: int, searched: int, messages: list[bytes]) -> None:
        """Append the messages in `data[begin:]` to `messages`; buffer the rest."""
        read, keeps_header = self._read_header, self._keeps_header
        size, most, spare = len(data), self._max, len(self._after)
        while begin < size and self.error is None:
            self._begins = begin
            body, length = read(data, begin, searched)
            if not body:
                self._header = data[begin:]
                return
            if not 0 <= length <= most:
                if length > most:
                    self._refuse(data[begin:])
                    return
                messages.append(data[begin:body])
                begin = body
                continue
            stop = body + length
            first = begin if keeps_header else body
            if stop + spare > size:
                self._length = length + spare
                self._missing = stop + spare - size
                self._keep(memoryview(data)[first:])
                return
            if spare or keeps_header:
                self._finish(data[first : stop + spare], messages)
            else:
                messages.append(data[body:stop])
            begin = stop + spare
            searched = 0

    def _finish(self, message: bytes, messages: list[bytes]) -> None:
        """Append a message without the text after it, or set `error` if that is not there."""
        after = self._after
        if after and not message.endswith(after):
            self._break(f"after the answer {after!r} must follow, got", message[-len(after) :])
        else:
            messages.append(message[: len(message) - len(after)])


def _reader(kind: str) -> Header:
    """Return the function that reads headers of one format."""
    match kind:
        case "u32be" | "u32le":
            return _by_unpacking(_FIXED[kind])
        case "varint":
            return _read_varint
        case "hex4":
            return _read_hex4
        case "content-length":
            return _read_content_length
        case _:
            return _by_regex(kind)


def _by_unpacking(unpack: Callable[[bytes, int], tuple[int, ...]]) -> Header:
    def read(data: bytes, begin: int, searched: int) -> tuple[int, int]:
        body = begin + 4
        return (body, unpack(data, begin)[0]) if body <= len(data) else _UNFINISHED

    return read


def _read_varint(data: bytes, begin: int, searched: int) -> tuple[int, int]:
    length = shift = 0
    for at in range(begin, min(len(data), begin + _MAX_VARINT_BYTES)):
        byte = data[at]
        length |= (byte & 0x7F) << shift
        if byte < _MORE:
            return at + 1, length
        shift += 7
    if len(data) - begin >= _MAX_VARINT_BYTES:
        raise NotAHeader("an answer must begin with its length as a varint")
    return _UNFINISHED


def _read_hex4(data: bytes, begin: int, searched: int) -> tuple[int, int]:
    digits = data[begin : begin + 4]
    if digits.strip(b"0123456789abcdefABCDEF"):
        raise NotAHeader("an answer must begin with its length as four hexadecimal digits")
    # The length includes its own four digits; 0000 to 0003 are git's packets without data.
    return (begin + 4, max(int(digits, 16) - 4, 0)) if len(digits) == 4 else _UNFINISHED


_CONTENT_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,19})[ \t]*\r$", re.I | re.M)


def _read_content_length(data: bytes, begin: int, searched: int) -> tuple[int, int]:
    end = data.find(b"\r\n\r\n", max(begin, searched - 3), begin + MAX_HEADER)
    header = data[begin : end + 2 if end >= 0 else begin + MAX_HEADER]
    found = _CONTENT_LENGTH.search(header) if end >= 0 else None
    is_header = _may_be_a_field(header.partition(b"\n")[0])
    if found is not None and is_header:
        return end + 4, int(found[1])
    if end >= 0 or len(header) == MAX_HEADER or not is_header:
        raise NotAHeader("an answer must begin with a header that has a Content-Length")
    return _UNFINISHED


def _may_be_a_field(line: bytes) -> bool:
    """True if this can be the beginning of a header line: a name, then a colon."""
    name, _, _ = line.partition(b":")
    return len(name) < 64 and all(0x21 <= byte <= 0x7E for byte in name)


def _by_regex(text: str) -> Header:
    """Return a function that reads headers that match a regex, whose group 1 is the length."""
    fullmatch = re.compile(text.encode(), re.MULTILINE).fullmatch
    ends = [bytes((byte,)) for byte in header_ends(text)]
    places = re.compile(b"[" + b"".join(map(re.escape, ends)) + b"]").finditer
    end = ends[0]
    has_length = re.compile(text.encode()).groups > 0

    def read(data: bytes, begin: int, searched: int) -> tuple[int, int]:
        if len(ends) == 1:
            at = data.find(end, max(begin, searched), begin + MAX_HEADER) + 1
            if not at:
                return unfinished(data, begin)
            found = fullmatch(data, begin, at)
            if found is not None:
                return at, length(found)
            searched = at
        for place in places(data, max(begin, searched), begin + MAX_HEADER):
            found = fullmatch(data, begin, place.end())
            if found is not None:
                return place.end(), length(found)
        return unfinished(data, begin)

    def unfinished(data: bytes, begin: int) -> tuple[int, int]:
        if len(data) - begin >= MAX_HEADER:
            raise NotAHeader(f"an answer must begin with a header that matches {text!r}")
        return _UNFINISHED

    def length(found: re.Match[bytes]) -> int:
        digits = found[1] if has_length else None
        if digits is None:
            return -1
        if not digits.isdigit() or len(digits) > _DIGITS:
            raise NotAHeader("group 1 of a header must be a number of bytes")
        return int(digits)

    return read
