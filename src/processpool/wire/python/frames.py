"""What comes up a Python worker's pipe, cut into frames: an object without I/O.

Two rules hold here. Bytes may arrive cut anywhere, and come out as whole frames in order. And a
frame of an unknown kind was not written by the worker's own code: nothing after it can be trusted,
so the reader keeps what broke the rules and returns no more frames.
"""

from __future__ import annotations

from processpool.wire.python import layout
from processpool.wire.python.layout import FRAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    Frame = tuple[int, int, bytes]

SHOWN = 64
"""Bytes that are kept of what is not a frame."""


KIND_MASK = (1 << layout.PACE) - 1
"""Of the first number of a frame: what is beside its pace."""
PLAIN_KINDS = frozenset({layout.PLAIN, layout.INTS, layout.FLOATS, layout.SHORT})
"""Kinds of frames whose answers are values and nothing else."""


def single(data: bytes) -> tuple[Frame, float] | None:
    """The frame, if these bytes are one whole frame with one plain answer; else None.

    Returns:
        with it, the seconds that the item took; 0 if the worker does not say so.
    """
    if len(data) <= FRAME.size:
        return None
    head, count, size = FRAME.unpack_from(data)
    kind = head & KIND_MASK
    if count != 1 or size != len(data) - FRAME.size or kind not in PLAIN_KINDS:
        return None
    return (kind, 1, data[FRAME.size :]), (head >> layout.PACE) / 1e9


class FrameReader:
    """Turns bytes as they arrive into frames: kind, number, body."""

    def __init__(self) -> None:
        self.broken = b""
        """The first bytes of what is not a frame; empty as long as all is well."""
        self.pace = 0
        """Nanoseconds that an item took, by the slowest of the frames with answers that came last;
        0 if one of them did not say so."""
        self._buffer = bytearray()
        self._wanted = 0
        """Bytes missing from the frame that has begun."""

    @property
    def is_clean(self) -> bool:
        """True if nothing of an unfinished frame has arrived."""
        return not self._buffer

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that these bytes complete."""
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
            if not layout.PLAIN <= kind <= layout.BACK:
                self.broken = data[at : at + SHOWN]
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
