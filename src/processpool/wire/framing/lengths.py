r"""Answers that begin with a header which says how many bytes follow.

Three rules hold here. A length is checked before anything of its size is allocated. A header has at
most 4 KiB, and is looked for only where it can end, so reading one takes time in proportion to its
bytes. And what cannot be a header breaks the framing as soon as that is seen, without waiting for
an end.
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
    """Reads the header at a position, searched up to another: where its body begins and how long
    that is, -1 where the header is all there is. A body that begins at 0: the header has not ended.
    Raises `NotAHeader`."""

HEADER_MOST = 4096
"""A header has no more bytes than this."""
_DIGITS = 19
_VARINT_MOST = 10
_MORE = 0x80
_UNFINISHED = 0, 0
_FIXED: dict[str, Any] = {"u32be": Struct(">I").unpack_from, "u32le": Struct("<I").unpack_from}


class NotAHeader(Exception):
    """What arrived cannot be the beginning of a header; the message says what was expected."""


class LengthFraming(DeclaredFraming):
    """Turns bytes as they arrive into answers as long as their headers say."""

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
        """The beginning of a header whose end has not arrived."""
        self._begins = 0
        """Where in the data the message begins whose header is being read."""
        self._length = 0
        self._missing = 0
        """Bytes that the unfinished answer has in all, and lacks, what follows it included."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the answers that it completes, in order."""
        if self._is_quick and len(data) >= 4 and self._fixed(data)[0] == len(data) - 4 <= self._max:
            return [data[4:]]
        answers = super().feed(data)
        self._is_quick &= self._may_be_quick
        return answers

    def whole(self, data: bytes) -> bytes | None:
        """The answer, if these bytes are exactly one; see `Framing.whole`."""
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
        """Return what is wrong if stdout ends here; None between two answers."""
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
        """True if nothing of an unfinished answer has arrived."""
        return not (self._missing or self._header or self.error)

    @property
    def partial(self) -> bytes:
        """What has arrived of an unfinished answer; of its header, if no more than that."""
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
        """Append every message that begins at or after `begin`; keep the rest for later."""
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
        """A message is there, with what has to follow it: see whether that does."""
        after = self._after
        if after and not message.endswith(after):
            self._break(f"after the answer {after!r} must follow, got", message[-len(after) :])
        else:
            messages.append(message[: len(message) - len(after)])


def _reader(kind: str) -> Header:
    """Return what reads headers of one kind."""
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
    for at in range(begin, min(len(data), begin + _VARINT_MOST)):
        byte = data[at]
        length |= (byte & 0x7F) << shift
        if byte < _MORE:
            return at + 1, length
        shift += 7
    if len(data) - begin >= _VARINT_MOST:
        raise NotAHeader("an answer must begin with its length as a varint")
    return _UNFINISHED


def _read_hex4(data: bytes, begin: int, searched: int) -> tuple[int, int]:
    digits = data[begin : begin + 4]
    if digits.strip(b"0123456789abcdefABCDEF"):
        raise NotAHeader("an answer must begin with its length as four hexadecimal digits")
    # 0000 to 0003 are packets without data, as git and assuan-like protocols have them.
    return (begin + 4, max(int(digits, 16) - 4, 0)) if len(digits) == 4 else _UNFINISHED


_CONTENT_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,19})[ \t]*\r$", re.I | re.M)


def _read_content_length(data: bytes, begin: int, searched: int) -> tuple[int, int]:
    end = data.find(b"\r\n\r\n", max(begin, searched - 3), begin + HEADER_MOST)
    header = data[begin : end + 2 if end >= 0 else begin + HEADER_MOST]
    found = _CONTENT_LENGTH.search(header) if end >= 0 else None
    if found is not None:
        return end + 4, int(found[1])
    name = header.partition(b"\n")[0]
    if end >= 0 or len(header) == HEADER_MOST or not _may_be_a_field(name):
        raise NotAHeader("an answer must begin with a header that has a Content-Length")
    return _UNFINISHED


def _may_be_a_field(line: bytes) -> bool:
    """True if a line of a header may begin like this: with a name, and a colon if it goes on."""
    name, _, _ = line.partition(b":")
    return all(0x21 <= byte <= 0x7E for byte in name) and (b":" in line or len(name) < 64)


def _by_regex(text: str) -> Header:
    """Return what reads headers that match a regex, group 1 being the length."""
    fullmatch = re.compile(text.encode(), re.MULTILINE).fullmatch
    ends = [bytes((byte,)) for byte in header_ends(text)]
    places = re.compile(b"[" + b"".join(map(re.escape, ends)) + b"]").finditer
    end = ends[0]
    has_length = re.compile(text.encode()).groups > 0

    def read(data: bytes, begin: int, searched: int) -> tuple[int, int]:
        if len(ends) == 1:
            at = data.find(end, max(begin, searched), begin + HEADER_MOST) + 1
            if not at:
                return unfinished(data, begin)
            found = fullmatch(data, begin, at)
            if found is not None:
                return at, length(found)
            searched = at
        for place in places(data, max(begin, searched), begin + HEADER_MOST):
            found = fullmatch(data, begin, place.end())
            if found is not None:
                return place.end(), length(found)
        return unfinished(data, begin)

    def unfinished(data: bytes, begin: int) -> tuple[int, int]:
        if len(data) - begin >= HEADER_MOST:
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
