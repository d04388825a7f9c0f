"""Which item is which: a worker only counts the items that it begins and answers.

The pool sends batches, numbered from 1; a call's one item belongs to none. Everything else is
arithmetic: how many answers have come, how many of them belong to the first batch that is still
open, and how many were read from the worker's journal and will come up its pipe once more.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Set
    from typing import Self

MASK = 0xFFFFFFFF
"""Numbers of batches and of items travel in 32 bits."""


class Run(Protocol):
    """Consecutive items: what the ledger needs to know of a batch."""

    @property
    def start(self) -> int:
        """The index of the first of them."""

    def __len__(self) -> int:
        """How many items there are."""

    def split(self, count: int, /) -> tuple[Self, Self]:
        """The first `count` items, and the others."""


B = TypeVar("B", bound=Run)


class Ledger(Generic[B]):
    """What one worker was sent, and how far it is. Items of a worker count from 1."""

    def __init__(self) -> None:
        self.received = 0
        """Items whose answers have come."""
        self._batches: deque[tuple[int, B]] = deque()
        """Batches with open items, and their numbers; the worker is in the first of them."""
        self._last = 0
        self._answered = 0
        """Items of the first batch that were answered."""
        self._peeked = (0, 0)

    # -- batches ---------------------------------------------------------------------------------

    @property
    def next_number(self) -> int:
        """The number under which the next batch is to travel."""
        return (self._last + 1) & MASK

    def sent(self, batch: B) -> None:
        """Note that a batch is on its way, under `next_number`."""
        self._last += 1
        self._batches.append((self._last, batch))

    @property
    def first_number(self) -> int | None:
        """The number of the batch that the worker is in; None if it was sent none."""
        return self._batches[0][0] & MASK if self._batches else None

    def drop_first(self) -> None:
        """The worker will answer nothing more of its first batch."""
        self._batches.popleft()
        self._answered = 0

    def take_back(self, numbers: Set[int]) -> list[B]:
        """The batches of these numbers were read back before the worker has seen them."""
        taken = [batch for number, batch in self._batches if number & MASK in numbers]
        self._batches = deque(pair for pair in self._batches if pair[0] & MASK not in numbers)
        return taken

    def recall(self, begun: int) -> int | None:
        """The worker begins nothing more of its first batch, and has begun so many items in all.

        Returns:
            how many items of the batch it has begun and not answered; None if that is all there is.
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
        """The index and the batch of the worker's item of this number; a call's index is 0."""
        ahead = (item - self.received - 1) & MASK
        if not self._batches:
            return (0 if ahead == 0 else None), None
        ahead += self._answered
        for _, batch in self._batches:
            if ahead < len(batch):
                return batch.start + ahead, batch
            ahead -= len(batch)
        return None, None

    @property
    def is_single(self) -> bool:
        """True if it was sent one batch of one item, of whose answer nothing is known yet."""
        batches = self._batches
        return len(batches) == 1 and len(batches[0][1]) == 1 and not self._peeked[0]

    # -- answers ---------------------------------------------------------------------------------

    def settle(self, count: int) -> None:
        """So many more items were answered."""
        self.received += count
        batches = self._batches
        if batches:
            self._answered += count
            while batches and self._answered >= len(batches[0][1]):
                self._answered -= len(batches.popleft()[1])

    def arrived(self, count: int) -> tuple[int, int]:
        """A frame with so many answers has come up the pipe.

        Returns:
            how many of them are new, and how many bytes of the frame are known already.
        """
        (known, size), self._peeked = self._peeked, (0, 0)
        self.settle(count - known)
        return count - known, size

    @property
    def peeked(self) -> tuple[int, int]:
        """Answers, and their bytes, that were read from the journal and will come once more."""
        return self._peeked

    def peek(self, count: int, end: int) -> None:
        """So many answers more were read from the journal, up to this byte of it."""
        self.settle(count)
        self._peeked = self._peeked[0] + count, end
