"""The ledger of a worker: which of the items that it counts is which item of which batch.

A worker only counts the items that it begins and answers. The pool sends batches, numbered from 1;
the item of a `call` belongs to none. The rest is arithmetic: how many answers were received, how
many of them belong to the first open batch, and how many were read from the journal and will also
arrive through the pipe.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Set
    from typing import Self

MASK = 0xFFFFFFFF
"""The numbers of batches and of items are sent modulo 2**32."""


class Run(Protocol):
    """Consecutive items: a batch, as the ledger uses it."""

    @property
    def start(self) -> int:
        """The index of the first item."""

    def __len__(self) -> int:
        """Return the number of items."""

    def split(self, count: int, /) -> tuple[Self, Self]:
        """Return the first `count` items, and the others."""


B = TypeVar("B", bound=Run)


class Ledger(Generic[B]):
    """The batches that a worker was sent, and its progress. A worker's items count from 1."""

    def __init__(self) -> None:
        self.received = 0
        """The number of items whose answers were received."""
        self._batches: deque[tuple[int, B]] = deque()
        """The batches with unanswered items, by number; the worker is in the first of them."""
        self._last = 0
        self._answered = 0
        """The number of answered items of the first batch."""
        self._peeked = (0, 0)

    # -- batches ---------------------------------------------------------------------------------

    @property
    def next_number(self) -> int:
        """The number of the next batch to be sent."""
        return (self._last + 1) & MASK

    def sent(self, batch: B) -> None:
        """Note that a batch was sent, with `next_number`."""
        self._last += 1
        self._batches.append((self._last, batch))

    @property
    def first_number(self) -> int | None:
        """The number of the batch that the worker is in; None if it has no batch."""
        return self._batches[0][0] & MASK if self._batches else None

    def drop_first(self) -> None:
        """Drop the first batch, of which the worker will answer nothing more."""
        self._batches.popleft()
        self._answered = 0

    def take_back(self, numbers: Set[int]) -> list[B]:
        """Remove and return the batches with these numbers, which were read back unseen."""
        taken = [batch for number, batch in self._batches if number & MASK in numbers]
        self._batches = deque(pair for pair in self._batches if pair[0] & MASK not in numbers)
        return taken

    def recall(self, begun: int) -> int | None:
        """Cut the first batch, of which the worker begins no more; it has begun `begun` in all.

        Returns:
            the number of items of the batch that are begun and not answered; None if no unbegun
            items are left, so that nothing is cut.
        """
        if not self._batches:
            return None
        kept = max(begun - self.received, 0)
        number, batch = self._batches[0]
        if len(batch) <= self._answered + kept:
            return None
        if kept:
            self._batches[0] = number, batch.split(self._answered + kept)[0]
        else:
            self.drop_first()
        return kept

    def locate(self, item: int) -> tuple[int | None, B | None]:
        """Return the index and batch of the worker's item with this number; for a call, (0, None).

        Returns:
            (None, None) if the worker has no such item.
        """
        ahead = (item - self.received - 1) & MASK
        if not self._batches:
            return (0 if ahead == 0 else None), None
        ahead += self._answered
        for _, batch in self._batches:
            if ahead < len(batch):
                return batch.start + ahead, batch
            ahead -= len(batch)
        return None, None

    def first_of(self, is_wanted: Callable[[B], bool]) -> int | None:
        """Return the number of the first item of a batch, by the worker's count."""
        number = self.received - self._answered + 1
        for _, batch in self._batches:
            if is_wanted(batch):
                return number
            number += len(batch)
        return None

    @property
    def is_single(self) -> bool:
        """True if the worker has one batch of one item, whose answer was not read from anywhere."""
        batches = self._batches
        return len(batches) == 1 and len(batches[0][1]) == 1 and not self._peeked[0]

    # -- answers ---------------------------------------------------------------------------------

    def settle(self, count: int) -> None:
        """Count `count` more items as answered."""
        self.received += count
        batches = self._batches
        if batches:
            self._answered += count
            while batches and self._answered >= len(batches[0][1]):
                self._answered -= len(batches.popleft()[1])

    def arrived(self, count: int) -> tuple[int, int]:
        """Count the answers of a frame that was received through the pipe.

        Returns:
            the number of new answers, and how many bytes of the frame were read before.
        """
        (known, size), self._peeked = self._peeked, (0, 0)
        self.settle(count - known)
        return count - known, size

    @property
    def peeked(self) -> tuple[int, int]:
        """The number and bytes of answers read from the journal that the pipe will bring again."""
        return self._peeked

    def peek(self, count: int, end: int) -> None:
        """Count `count` more answers that were read from the journal, up to byte `end`."""
        self.settle(count)
        self._peeked = self._peeked[0] + count, end
