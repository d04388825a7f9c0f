"""Parsing of the frames that a Python worker sends, without I/O.

Two rules hold here. Bytes may be split anywhere into reads; frames are returned whole and in order.
And a frame of an unknown kind was not written by the worker's own code, so nothing after it can be
trusted: the reader keeps its first bytes, and returns no more frames.
"""

from __future__ import annotations

from processpool.wire.python import layout
from processpool.wire.python.layout import FRAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    Frame = tuple[int, int, bytes]

MAX_SHOWN = 64
"""The most bytes that are kept of what is not a frame."""


KIND_MASK = (1 << layout.PACE) - 1
"""The bits of a frame's first number that are its kind; the others are its pace."""
PLAIN_KINDS = frozenset({layout.PLAIN, layout.INTS, layout.FLOATS, layout.SHORT})
"""The kinds of frames whose answers are plain values."""


def single(data: bytes) -> tuple[Frame, float] | None:
    """Return the frame in `data`, if that is exactly one frame with one plain answer; else None.

    Returns:
        the frame, and the seconds that the item took; 0 if the worker did not measure it.
    """
    if len(data) <= FRAME.size:
        return None
    head, count, size = FRAME.unpack_from(data)
    kind = head & KIND_MASK
    if count != 1 or size != len(data) - FRAME.size or kind not in PLAIN_KINDS:
        return None
    return (kind, 1, data[FRAME.size :]), (head >> layout.PACE) / 1e9


class FrameReader:
    """Parses received bytes into frames: (kind, number, body)."""

    def __init__(self) -> None:
        self.broken = b""
        """The first bytes of what is not a frame; empty if there was no such error."""
        self.pace = 0
        """The nanoseconds per item in the slowest answer frame of the last `feed`; 0 if one of
        them has no measurement."""
        self._buffer = bytearray()
        self._wanted = 0
        """The size of the buffer at which it holds a whole header or frame."""

    @property
    def is_clean(self) -> bool:
        """True if no part of an unfinished frame was received."""
        return not self._buffer

    def feed(self, data: bytes) -> list[Frame]:
        """Take received bytes; return the frames that they complete, in order."""
        if self.broken:
            return []
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        frames: list[Frame] = []
        paces: list[int] = []
        at, end = 0, len(data)
        while end - at >= FRAME.size:
            kind, number, size = FRAME.unpack_from(data, at)
            pace = kind >> layout.PACE
            kind &= KIND_MASK
            if not layout.PLAIN <= kind <= layout.PART:
                self.broken = data[at : at + MAX_SHOWN]
                return frames
            body = at + FRAME.size
            self._wanted = FRAME.size + size
            if end - body < size:
                break
            at = body + size
            frames.append((kind, number, data[body:at]))
            if kind <= layout.ANSWERS:
                paces.append(pace)
        if paces:
            self.pace = max(paces) if all(paces) else 0
        if at < end:
            self._buffer += data[at:]
            if end - at < FRAME.size:
                self._wanted = FRAME.size
        return frames
