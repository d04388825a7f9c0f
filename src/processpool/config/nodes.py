"""The syntax tree of a YAML file, before scalars are resolved.

Two rules hold here. Every node has its position, and its size and depth with all aliases expanded,
so an alias bomb is detected without expanding it. And nodes are shared, never copied: an alias is
the same object as the node that it refers to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""The path of a value: the keys and indices that lead to it from the top."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; lines and columns count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Scalar:
    """A scalar as it was written; `plain` if it had no quotes."""

    place: Place
    text: str
    plain: bool
    size: int = 1
    depth: int = 1


@dataclass(slots=True)
class Broken:
    """A placeholder for a value whose problem is reported already."""

    place: Place
    size: int = 1
    depth: int = 1


@dataclass(slots=True)
class Items:
    """A list."""

    place: Place
    items: list[Node] = field(default_factory=list)
    size: int = 1
    depth: int = 1

    def children(self) -> list[Node]:
        """Return the nodes directly below."""
        return self.items


@dataclass(slots=True)
class Mapping:
    """A mapping: keys with their own positions, and their values."""

    place: Place
    entries: dict[str, tuple[Place, Node]] = field(default_factory=dict)
    size: int = 1
    depth: int = 1

    def children(self) -> list[Node]:
        """Return the nodes directly below."""
        return [node for _, node in self.entries.values()]


Node = Scalar | Broken | Items | Mapping
