"""The input of a map, read and encoded in chunks on the thread that consumes the map.

Chunks are large while the input is quick to read, and small when it is slow, so that no item waits
for those behind it. They are bounded in items and in bytes, so a map over large messages reads only
a few ahead.
"""

from __future__ import annotations

from itertools import chain, islice
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.api.call_forms import Packer
    from processpool.api.feed import Feed

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

    __slots__ = ("bytes", "ended", "error", "items", "packing", "payloads", "reading", "refusal")

    def __init__(self) -> None:
        self.items: list[Any] = []
        """What they were before they were packed."""
        self.payloads: list[Any] = []
        self.refusal: BaseException | None = None
        """Why the last item cannot be sent, if so."""
        self.bytes = 0
        """Bytes of the payloads, as far as they are known."""
        self.reading = self.packing = 0.0
        """Seconds that the input took for the items, and that these took to be packed."""
        self.ended = False
        """No item follows."""
        self.error: Exception | None = None
        """What the input has raised after these items."""

    def __len__(self) -> int:
        return len(self.payloads) + (self.refusal is not None)


class MapInput:
    """Reads the items of a map."""

    def __init__(self, items: Iterator[Any], pack: Packer, most: int = MAX_CHUNK) -> None:
        """Of `items`, at most so many are read at a time; `pack` packs them."""
        self._items = items
        self._pack = pack
        self._most = most
        self._size = 1
        self._item_bytes = 1.0
        """Bytes of an item, lately, or of larger ones not long ago."""
        self._left: list[Any] = []
        """Items that were read, and had no place in the last chunk."""
        self._ended = False
        self._error: Exception | None = None

    @property
    def items_worth(self) -> int:
        """How many items make a chunk that is as large as it may be."""
        return int(MAX_BYTES / self._item_bytes)

    @property
    def rest(self) -> Iterator[Any]:
        """The items that were not given out; taking them takes them from the input."""
        return chain(self._left, self._items)

    def read(self, room: int) -> InputChunk:
        """Return the next chunk, of at most `room` items; it carries what the input raises."""
        began = monotonic()
        wanted = max(min(self._size, room, self.items_worth), 1)
        items = self._left or self._take(wanted)
        taken = monotonic()
        chunk = self._chunk(items, wanted)
        if len(chunk):
            self._item_bytes = max(chunk.bytes / len(chunk), self._item_bytes * FORGET, 1.0)
        ended = monotonic()
        chunk.reading, chunk.packing = taken - began, ended - taken
        pace = SLOW_INPUT / max(ended - began, 1e-9)
        self._size = max(min(int(len(chunk) * min(pace, 2)), self._most), 1)
        return chunk

    def _chunk(self, items: list[Any], wanted: int) -> InputChunk:
        chunk = InputChunk()
        chunk.payloads, chunk.bytes, chunk.refusal = self._pack(items[:wanted], MAX_BYTES)
        chunk.items, self._left = items[: len(chunk)], items[len(chunk) :]
        if not self._left:
            chunk.ended, chunk.error = self._ended, self._error
        return chunk

    def _take(self, wanted: int) -> list[Any]:
        items: list[Any] = []
        try:
            items += islice(self._items, wanted)
        except Exception as error:
            self._error = error
        else:
            self._ended = len(items) < wanted
        return items


class FedInput(MapInput):
    """The input of a map that takes what a feed has."""

    def __init__(self, feed: Feed, pack: Packer, most: int = MAX_CHUNK) -> None:
        super().__init__(iter(()), pack, most)
        self._feed = feed

    @property
    def is_starved(self) -> bool:
        """True if there is nothing to read at the moment, and it has not ended."""
        return not self._left and self._feed.is_starved

    def _take(self, wanted: int) -> list[Any]:
        ended = self._feed.ended  # before: what comes first is taken first
        items = self._feed.take(wanted)
        self._ended = ended and len(items) < wanted
        if self._ended:
            self._error = self._feed.error
        return items
