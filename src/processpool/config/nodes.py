"""The syntax tree of a YAML file, before scalars are resolved.

Two rules hold here. Every node has its position, and its size and depth with all aliases expanded,
so an alias bomb is detected without expanding it. And nodes are shared, never copied: an alias is
the same object as the node that it refers to.
"""

from __future__ import annotations

from typing import NamedTuple

Path = tuple[str | int, ...]
"""The path of a value: the keys and indices that lead to it from the top."""


class Place(NamedTuple):
    """A position in a file; lines and columns count from 1."""

    line: int
    column: int


class Scalar(NamedTuple):
    """A scalar as it was written; `plain` if it had no quotes."""

    place: Place
    text: str
    plain: bool
    size: int = 1
    depth: int = 1


class Broken(NamedTuple):
    """A placeholder for a value whose problem is reported already."""

    place: Place
    size: int = 1
    depth: int = 1


class Items:
    """A list."""

    __slots__ = ("depth", "items", "place", "size")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.items: list[Node] = []
        self.size = self.depth = 1

    def children(self) -> list[Node]:
        """Return the nodes directly below."""
        return self.items


class Mapping:
    """A mapping: keys with their own positions, and their values."""

    __slots__ = ("depth", "entries", "place", "size")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.entries: dict[str, tuple[Place, Node]] = {}
        self.size = self.depth = 1

    def children(self) -> list[Node]:
        """Return the nodes directly below."""
        return [node for _, node in self.entries.values()]


Node = Scalar | Broken | Items | Mapping
