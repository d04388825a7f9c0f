"""What a worker under `serve` reads of its requests in the page: their items, and their spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.terms import TracedMessage
from processpool.wire.served import (
    ITEMS,
    ITEMS_AT,
    SPAN_SIZE,
    TRACED_AT,
    pack_item,
    span_place,
)

if TYPE_CHECKING:
    import mmap

    from processpool.core.jobs import Batch

_CALL = pack_item(0, 1)


class ServedNotes:
    """What was noted of a worker's requests."""

    def __init__(self, mapping: mmap.mmap) -> None:
        self._mapping = mapping
        self._last = b""
        self._named = 0
        """How many spans were named."""
        self.tells_spans = False
        """True once a request was in a trace: from then on it is said of all whether they are."""

    def batch(self, page: memoryview[int], number: int, batch: Batch) -> None:
        """Note the requests of a batch, of which the first has this number."""
        index, attempts = batch.start, batch.attempts
        for ahead in range(len(batch)):
            page[ITEMS_AT + (number + ahead) % ITEMS] = pack_item(index + ahead, attempts)
        within = batch.job.terms.within
        if within or self.tells_spans:
            self.span(page, number, len(batch), within)

    def call(self, page: memoryview[int], number: int, payload: tuple[bytes, ...]) -> None:
        """Note the request of a call, or of a lease."""
        page[ITEMS_AT + number % ITEMS] = _CALL
        within = payload.within if type(payload) is TracedMessage else b""
        if within or self.tells_spans:
            self.span(page, number, 1, within)

    def span(self, page: memoryview[int], number: int, count: int, within: bytes) -> None:
        """Note the span that so many requests are below; it is empty if they are in no trace."""
        self.tells_spans = True
        if within and within != self._last:
            self._last = within
            self._named += 1
            self._mapping[span_place(self._named)] = within.ljust(SPAN_SIZE)
        span = self._named if within else 0
        for request in range(number, number + count):
            page[TRACED_AT + request % ITEMS] = span
