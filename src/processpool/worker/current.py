"""`processpool.current_worker`: who this worker is, and which item it has.

Set when a worker starts. A fork that an item made is told the same, but for the item.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Item = tuple[int | None, int | None]
    """The index of an item, and its attempt."""

NO_ITEM: Item = (None, None)
"""What is said between two items, and where it is not known."""


def _no_item() -> Item:
    return NO_ITEM


class CurrentWorker:
    """What a worker knows of itself at one moment."""

    __slots__ = ("attempt", "item", "pool", "slot", "worker")

    def __init__(
        self, slot: int, worker: int, pool: str, item: int | None, attempt: int | None
    ) -> None:
        self.slot = slot
        """Its place in the pool, 0 to `size.max` - 1: its successor has the same."""
        self.worker = worker
        """Its number, which no other worker of the pool ever has."""
        self.pool = pool
        """The name of the pool."""
        self.item = item
        """The index of the item that it has; None if it has none, or does not know."""
        self.attempt = attempt
        """1 for the first time that this item is tried; None without an item."""

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__[::-1])
        return f"CurrentWorker({told})"


_who: tuple[int, int, str] | None = None
_item: Callable[[], Item] = _no_item


def current_worker() -> CurrentWorker | None:
    """Return who this worker is, and which item it has; None outside of a worker.

    For functions and setups of Python workers, and for handlers under `serve`. A function that may
    also run elsewhere asks for None first.
    """
    return None if _who is None else CurrentWorker(*_who, *_item())


def introduce(slot: int, worker: int, pool: str) -> None:
    """Say who this process is."""
    global _who
    _who = slot, worker, pool


def find_item(find: Callable[[], Item]) -> None:
    """Say how to find out which item this process has."""
    global _item
    _item = find
