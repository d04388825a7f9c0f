"""The input of a map, read and encoded in chunks on the thread that consumes the map.

Chunks are large while the input is quick to read, and small when it is slow, so that no item waits
for those behind it. They are bounded in items and in bytes, so a map over large messages reads only
a few ahead.
"""

from __future__ import annotations

from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.errors import ProcessPoolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_CHUNK = 16 * 1024
"""Items read from the input at a time, at most."""
MAX_BYTES = 4 * 1024 * 1024
"""Bytes of encoded items read at a time, at most; a single item may have more."""
SLOW_INPUT = 0.001
"""Seconds after which a chunk of input counts as slow to read, and the next is smaller."""
FORGET = 0.8
"""The factor by which the size of the largest items fades with each chunk."""


class InputChunk:
    """Consecutive items: those that can be sent and, behind them, one that cannot."""

    __slots__ = ("bytes", "ended", "error", "payloads", "refusal")

    def __init__(self) -> None:
        self.payloads: list[Any] = []
        self.refusal: ProcessPoolError | None = None
        """Why the last item cannot be sent, if so."""
        self.bytes = 0
        """Bytes of the payloads, as far as they are known."""
        self.ended = False
        """No item follows."""
        self.error: Exception | None = None
        """What the input has raised after these items."""

    def __len__(self) -> int:
        return len(self.payloads) + (self.refusal is not None)

    def fill(self, items: Iterator[Any], pack: Callable[[Any], Any] | None, most: int) -> None:
        """Take up to `most` items, or fewer if they are large, or one cannot be packed."""
        payloads = self.payloads
        try:
            if pack is not None:
                self._pack(islice(items, most), pack)
            else:
                payloads += islice(items, most)
                self.bytes = len(payloads) * _size_of(payloads[-1]) if payloads else 0
        except Exception as error:
            self.error = error
        is_cut = self.refusal is not None or self.bytes >= MAX_BYTES
        self.ended = self.error is None and len(payloads) < most and not is_cut

    def _pack(self, items: Iterator[Any], pack: Callable[[Any], Any]) -> None:
        for item in items:
            try:
                payload = pack(item)
            except ProcessPoolError as error:
                self.refusal = error
                return
            self.payloads.append(payload)
            self.bytes += sum(map(len, payload))
            if self.bytes >= MAX_BYTES:
                return


class MapInput:
    """Reads the items of a map."""

    def __init__(
        self, items: Iterator[Any], pack: Callable[[Any], Any] | None, most: int = MAX_CHUNK
    ) -> None:
        """Of `items`, at most so many are read at a time; `pack` encodes one, if that is needed."""
        self._items = items
        self._pack = pack
        self._most = most
        self._size = 1
        self._item_bytes = 1.0
        """Bytes of an item, lately, or of larger ones not long ago."""

    @property
    def items_worth(self) -> int:
        """How many items make a chunk that is as large as it may be."""
        return int(MAX_BYTES / self._item_bytes)

    def read(self, room: int) -> InputChunk:
        """Return the next chunk, of at most `room` items; it carries what the input raises."""
        began = monotonic()
        chunk = InputChunk()
        wanted = max(min(self._size, room, self.items_worth), 1)
        chunk.fill(self._items, self._pack, wanted)
        if len(chunk):
            self._item_bytes = max(chunk.bytes / len(chunk), self._item_bytes * FORGET, 1.0)
        pace = SLOW_INPUT / max(monotonic() - began, 1e-9)
        self._size = max(min(int(len(chunk) * min(pace, 2)), self._most), 1)
        return chunk


def _size_of(item: Any) -> int:
    """The bytes of an item that is not encoded here, where that is plain to see."""
    if type(item) is tuple:
        return sum(map(_size_of, item))
    return len(item) if type(item) in (bytes, bytearray, str) else 0
