"""`processpool.current_worker`: the identity of the calling worker, and its current item.

It is set when a worker starts. In a child that an item has forked it is the same, without the item.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Item = tuple[int | None, int | None]
    """The index of an item, and its attempt."""

NO_ITEM: Item = (None, None)
"""The value between two items, and if the item is not known."""


def _no_item() -> Item:
    return NO_ITEM


class CurrentWorker:
    """The identity of a worker and its item, at one moment."""

    __slots__ = ("attempt", "item", "pool", "slot", "worker")

    def __init__(
        self, slot: int, worker: int, pool: str, item: int | None, attempt: int | None
    ) -> None:
        self.slot = slot
        """The worker's slot in the pool, 0 to `size.max` - 1; its replacement has the same."""
        self.worker = worker
        """The worker's number, which is unique in the pool and never reused."""
        self.pool = pool
        """The name of the pool."""
        self.item = item
        """The index of its current item; None if it has none, or does not know it."""
        self.attempt = attempt
        """The number of this attempt at the item, from 1; None without an item."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__[::-1])
        return f"CurrentWorker({fields})"


_identity: tuple[int, int, str] | None = None
_item: Callable[[], Item] = _no_item


def current_worker() -> CurrentWorker | None:
    """Return the identity of this worker, and its current item; None outside of workers.

    It works in functions and setups of Python workers, and in handlers under `serve`.
    """
    return None if _identity is None else CurrentWorker(*_identity, *_item())


def introduce(slot: int, worker: int, pool: str) -> None:
    """Set the identity of this process."""
    global _identity
    _identity = slot, worker, pool


def swap(
    identity: tuple[int, int, str] | None, item: Callable[[], Item]
) -> tuple[tuple[int, int, str] | None, Callable[[], Item]]:
    """Set both, and return what they were; for a process that is a worker for a while only."""
    global _identity, _item
    before = _identity, _item
    _identity, _item = identity, item
    return before


def find_item(find: Callable[[], Item]) -> None:
    """Set the function that returns the current item of this process."""
    global _item
    _item = find
