"""What the items of a map were before they were packed, for the records that name them."""

from __future__ import annotations

from typing import Any


class OpenInputs:
    """The items that have not ended."""

    def __init__(self) -> None:
        self._items: dict[int, Any] = {}
        self.drop = self._items.pop
        """An item has ended, and nobody wants to know what it was; `drop(index, None)`."""

    def add(self, start: int, items: list[Any]) -> None:
        """Items were read, the first of which has the index `start`."""
        self._items.update(enumerate(items, start))

    def peek(self, index: int) -> Any:
        """Return an item that has not ended."""
        return self._items.get(index)

    def take(self, start: int, count: int) -> list[Any]:
        """Return consecutive items, which have ended."""
        pop = self._items.pop
        return [pop(index, None) for index in range(start, start + count)]


class AllInputs:
    """All items, for a map whose records are all wanted."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def add(self, start: int, items: list[Any]) -> None:
        """Items were read, the first of which has the index `start`."""
        self.items += items

    def peek(self, index: int) -> Any:
        """Return an item."""
        return self.items[index] if index < len(self.items) else None

    def take(self, start: int, count: int) -> list[Any]:
        """Return consecutive items."""
        return self.items[start : start + count]

    def drop(self, index: int, default: None) -> None:
        """Keep it all the same."""
