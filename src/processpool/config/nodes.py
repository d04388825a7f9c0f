"""The tree of a YAML file, before anything in it has a meaning.

Two rules hold here. Every node knows where it stands, and how large and deep it is with its aliases
expanded, so that a bomb is found without expanding it. And nodes are shared, never copied: an alias
is the very node that it repeats.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""Where a value stands: the keys and indices that lead to it."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; lines and columns count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Scalar:
    """One value as it was written; `plain` says that it had no quotes."""

    place: Place
    text: str
    plain: bool
    size: int = 1
    depth: int = 1


@dataclass(slots=True)
class Broken:
    """What stands where a value was refused already: nothing more is to be said about it."""

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
    """Keys, each with its own place, and their values."""

    place: Place
    entries: dict[str, tuple[Place, Node]] = field(default_factory=dict)
    size: int = 1
    depth: int = 1

    def children(self) -> list[Node]:
        """Return the nodes directly below."""
        return [node for _, node in self.entries.values()]


Node = Scalar | Broken | Items | Mapping
