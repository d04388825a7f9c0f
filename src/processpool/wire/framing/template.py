r"""Templates of requests: text with names in braces, which are replaced for each message.

Three rules hold here. Only the names in `FIELDS` are replaced; other braces are kept, so `{ready}`
and JSON need no escaping, but misspelt names are rejected. A template contains `{message}` exactly
once. And a mark is random and new for each request, so no answer can be mistaken for another's.
"""

from __future__ import annotations

import os
import re
from struct import Struct
from typing import TYPE_CHECKING

from processpool.errors import CodecError
from processpool.wire.framing.base import SMALL_MESSAGE, too_large

if TYPE_CHECKING:
    from collections.abc import Callable

MARK_PREFIX = b"pp"
"""The beginning of a mark: letters, so that the mark is a valid name in most languages."""
MARK_SIZE = len(MARK_PREFIX) + 2 * 8

_BRACES = re.compile(r"\{([^{}\n]{1,24})\}")
_MIN_SIMILARITY = 0.75
"""The similarity from which a name counts as misspelt: `{mesage}`, `{u32}`, `{Mark}`."""
_MARKS_AT_A_TIME = 512
"""The number of marks that are made at a time."""
_MARK_BYTES = 8
"""The number of random bytes in a mark."""
_SEPARATOR = b"\xff"
"""A separator that occurs in no text, as it is not valid UTF-8."""
_VARINT_BYTE = 0x80
_MAX_HEX4 = 0xFFFF
_MAX_U32 = 0xFFFFFFFF


class Marks:
    """A stock of marks, each between the same two texts. Making many at a time is cheapest."""

    def __init__(self, before: bytes = b"", after: bytes = b"") -> None:
        self.stock: list[bytes] = []
        """The unused marks; `draw` takes from the end, and callers may do so directly."""
        self._before, self._after = before + MARK_PREFIX, after

    def draw(self) -> bytes:
        """Return a new mark with its texts; may be called on any thread."""
        try:
            return self.stock.pop()
        except IndexError:
            digits = os.urandom(_MARK_BYTES * _MARKS_AT_A_TIME).hex(" ", _MARK_BYTES).encode()
            between = self._after + _SEPARATOR + self._before
            marks = digits.replace(b" ", between).split(_SEPARATOR)
            self.stock.extend(marks[2:-1])  # the first and last lack one of the texts
            return marks[1]


def varint(number: int) -> bytes:
    """Return a number as a varint of protocol buffers: groups of seven bits, the lowest first."""
    groups = bytearray()
    while number >= _VARINT_BYTE:
        groups.append(number & 0x7F | _VARINT_BYTE)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _hex4(length: int) -> bytes:
    if length + 4 > _MAX_HEX4:
        raise CodecError(f"the message has {length} bytes; {{hex4}} can say {_MAX_HEX4 - 4}")
    return b"%04x" % (length + 4)


def _u32(form: str) -> Callable[[int], bytes]:
    pack = Struct(form).pack

    def field(length: int) -> bytes:
        if length > _MAX_U32:
            raise CodecError(f"the message has {length} bytes; 32 bits can say {_MAX_U32}")
        return pack(length)

    return field


_LENGTHS: dict[str, Callable[[int], bytes]] = {
    "length": lambda length: b"%d" % length,
    "u32be": _u32(">I"),
    "u32le": _u32("<I"),
    "varint": varint,
    "hex4": _hex4,
}
_VARIABLE = ("length", "varint")
"""The fields whose size depends on the message."""
FIELDS = ("message", "mark", *_LENGTHS)
"""The names that are replaced in a template."""


def split(text: str, names: tuple[str, ...] = FIELDS) -> list[tuple[str, bytes]]:
    """Return the parts of a template: `("", text)` for text, `(name, b"")` for a name in braces.

    Raises:
        ValueError: a word in braces is a misspelt name.
    """
    parts: list[tuple[str, bytes]] = []
    begin = 0
    for found in _BRACES.finditer(text):
        if found[1] in names:
            parts += [("", text[begin : found.start()].encode()), (found[1], b"")]
            begin = found.end()
        else:
            _refuse_near_miss(found[1], names)
    parts.append(("", text[begin:].encode()))
    return [part for part in parts if part != ("", b"")]


def misspelt_message(text: str) -> str | None:
    """Return the first name in braces that is nearly `{message}`; None if there is none."""
    words = (found[1] for found in _BRACES.finditer(text))
    return next((f"{{{word}}}" for word in words if _is_meant(word, "message")), None)


def _refuse_near_miss(word: str, names: tuple[str, ...]) -> None:
    for name in names:
        if _is_meant(word, name):
            raise ValueError(f"must not hold {{{word}}} (did you mean {{{name}}}?)")


def _is_meant(word: str, name: str) -> bool:
    from difflib import SequenceMatcher  # where something is wrong only

    return SequenceMatcher(None, word.strip().lower(), name).ratio() >= _MIN_SIMILARITY


def around_mark(text: str) -> tuple[bytes, bytes] | bytes:
    """Split a text at `{mark}`: return the texts before and after it, or one text without a mark.

    Raises:
        ValueError: it has `{mark}` more than once, or misspelt.
    """
    parts = split(text, ("mark",))
    names = [name for name, _ in parts]
    if names.count("mark") > 1:
        raise ValueError("must not hold {mark} more than once")
    if "mark" not in names:
        return _joined(parts, 0, b"")
    at = names.index("mark")
    return _joined(parts[:at], 0, b""), _joined(parts[at + 1 :], 0, b"")


class RequestTemplate:
    """A compiled template, which encodes requests.

    Args:
        text: the template.
        most: the most bytes of a message.

    Raises:
        ValueError: `text` does not have `{message}` exactly once, or has a misspelt name.
    """

    def __init__(self, text: str, most: int) -> None:
        parts = split(text)
        names = [name for name, _ in parts]
        if names.count("message") != 1:
            raise ValueError("must hold {message}, once: that is where the message goes")
        at = names.index("message")
        self._before, self._after = parts[:at], parts[at + 1 :]
        self._most, self._most_small = most, min(most, SMALL_MESSAGE)
        self.has_mark = "mark" in names
        self._marks = Marks()
        self.encode = self._encoder()
        """A function from a message to the buffers of its request; large messages are not copied.

        It raises `ProtocolError` for messages over the limit, and `CodecError` for those whose
        length does not fit the template's length field.
        """

    def end_finder(self, before: bytes, after: bytes) -> Callable[[tuple[bytes, ...]], bytes]:
        """Return a function that finds the mark in a request's buffers, and puts it between texts.

        Raises:
            ValueError: the template has no mark, or its position depends on the message.
        """
        if not self.has_mark:
            raise ValueError("waits for {mark}, which the request has a program say nowhere")
        names = [name for name, _ in self._after]
        if "mark" in names:
            behind = self._after[names.index("mark") + 1 :]
            back = _size(behind) + MARK_SIZE
            if not before and behind and behind[0][1].startswith(after):
                cut = slice(-back, MARK_SIZE + len(after) - back or None)
                return lambda buffers: buffers[-1][cut]
            cut = slice(-back, MARK_SIZE - back or None)
            return lambda buffers: before + buffers[-1][cut] + after
        names = [name for name, _ in self._before]
        start = _size(self._before[: names.index("mark")])
        end = start + MARK_SIZE
        return lambda buffers: before + buffers[0][start:end] + after

    def _encoder(self) -> Callable[[bytes], tuple[bytes, ...]]:
        fields = [name for name, _ in (*self._before, *self._after) if name]
        if not fields:
            return self._constant()
        if fields == ["mark"] and ("mark", b"") in self._after:
            return self._marked()
        return self._general

    def _constant(self) -> Callable[[bytes], tuple[bytes, ...]]:
        before, after = _joined(self._before, 0, b""), _joined(self._after, 0, b"")
        most_small = self._most_small

        def encode(payload: bytes) -> tuple[bytes, ...]:
            if len(payload) <= most_small:
                return (payload + after,)
            return self._general(payload)

        def encode_behind(payload: bytes) -> tuple[bytes, ...]:
            if len(payload) <= most_small:
                return (before + payload + after,)
            return self._general(payload)

        return encode_behind if before else encode

    def _marked(self) -> Callable[[bytes], tuple[bytes, ...]]:
        """Return the encoder for the most common template: one mark, after the message."""
        before, at = _joined(self._before, 0, b""), self._after.index(("mark", b""))
        texts = (_joined(self._after[:at], 0, b""), _joined(self._after[at + 1 :], 0, b""))
        marks, most_small = Marks(*texts), self._most_small
        pop, draw = marks.stock.pop, marks.draw

        def encode(payload: bytes) -> tuple[bytes, ...]:
            if len(payload) > most_small:
                return self._general(payload)
            try:
                return (before + payload + pop(),)
            except IndexError:
                return (before + payload + draw(),)

        return encode

    def _general(self, payload: bytes) -> tuple[bytes, ...]:
        length = len(payload)
        if length > self._most:
            raise too_large(length, self._most)
        mark = self._marks.draw() if self.has_mark else b""
        before = _joined(self._before, length, mark)
        after = _joined(self._after, length, mark)
        if length <= self._most_small:
            return (before + payload + after,)
        return tuple(filter(None, (before, payload, after)))


def _joined(parts: list[tuple[str, bytes]], length: int, mark: bytes) -> bytes:
    texts = []
    for name, literal in parts:
        if not name:
            texts.append(literal)
        else:
            texts.append(mark if name == "mark" else _LENGTHS[name](length))
    return b"".join(texts)


def _size(parts: list[tuple[str, bytes]]) -> int:
    """Return the size of these parts; raise `ValueError` if it depends on the message."""
    size = 0
    for name, literal in parts:
        if name in _VARIABLE:
            raise ValueError(
                f"{{mark}} must not have {{{name}}} between itself and the nearer end of the "
                "request, for it could not be found there"
            )
        size += MARK_SIZE if name == "mark" else len(literal) if not name else 4
    return size
