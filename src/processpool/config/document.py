"""Plain data to validate, and where each value of it came from.

Three rules hold here. What an error may show of a value is decided in one place, `shown`: the text
as the user wrote it, never what a variable held, and nothing at all of an `env` value. A value that
is already refused is in `unknown`, so that nobody complains about it again. And what the caller
overrides is no longer the file's: its problems there are gone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from processpool.config.problems import Problem, one_line, quoted

if TYPE_CHECKING:
    from processpool.config.nodes import Path, Place

SECRETS = "env"
"""The key under which no value is ever shown."""
_DEEPEST = 4
"""How deep mappings lie in each other: the pool, `worker`, `protocol`, `answer`."""


@dataclass(slots=True)
class Document:
    """The data of one pool.

    Attributes:
        data: What is validated: dictionaries, lists and scalars.
        prefix: The keys above it: `("pools", name)` where a file holds several pools.
        places: The position of each value.
        keys: The position of each key.
        written: Each scalar of a file, as it may be shown.
        unquoted: The scalars that stand in the file without quotes.
        unknown: The values that are not known, because they were refused already.
        overridden: The values that the caller has put in.
    """

    data: object
    prefix: Path = ()
    places: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    unquoted: set[Path] = field(default_factory=set)
    unknown: set[Path] = field(default_factory=set)
    overridden: set[Path] = field(default_factory=set)

    def problem(self, path: Path, sentence: str, *, at_key: bool = False) -> Problem:
        """Return the problem of the value at `path`, or of its key, with its position."""
        place = self.keys.get(path) if at_key else None
        for length in range(len(path), -1, -1):
            place = place or self.places.get(path[:length])
        overridden = self.is_overridden(path)
        return Problem(path if overridden else self.prefix + path, sentence, place, overridden)

    def is_overridden(self, path: Path) -> bool:
        """Say whether the value at `path` came from the caller's overrides."""
        return any(path[:length] in self.overridden for length in range(1, len(path) + 1))

    def is_unknown(self, path: Path) -> bool:
        """Say whether the value at `path`, or what holds it, was refused before."""
        refused = any(path[:length] in self.unknown for length in range(len(path) + 1))
        return refused and not self.is_overridden(path)

    def existing(self, path: Path) -> Path:
        """Return the part of `path` that the data has: the rest comes from a short form."""
        value = self.data
        for length, part in enumerate(path):
            try:
                value = _step(value, part)
            except (LookupError, TypeError):
                return path[:length]
        return path

    def at(self, path: Path) -> object:
        """Return the value at `path`, which exists."""
        value = self.data
        for part in path:
            value = _step(value, part)
        return value

    def shown(self, path: Path) -> str:
        """Return what an error may show of the value at `path`."""
        if SECRETS in path:
            return kind_of(self.at(path))
        if path in self.written and not self.is_overridden(path):
            return self.written[path]
        return _words(self.at(path))

    def wants_quotes(self, path: Path) -> bool:
        """Say whether the value at `path` may be shown as it should be written: in quotes."""
        return path in self.unquoted and SECRETS not in path and not self.is_overridden(path)


def plain(value: object, depth: int = _DEEPEST) -> object:
    """Return mappings from Python as dictionaries, so that nothing of their own runs later.

    What their `items` raises is raised here, where nobody takes it for a wrong value.
    """
    if depth and isinstance(value, Mapping):
        return {key: plain(below, depth - 1) for key, below in value.items()}
    return value


def _step(value: Any, part: str | int) -> object:
    if not isinstance(value, dict | list | tuple):
        raise TypeError("nothing stands below a scalar")
    # A dictionary that came from PyYAML has True for the key `on`.
    return value[True] if part == "on" and part not in value else value[part]  # type: ignore[index]


def _words(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool | int | float):
        return one_line(_number(value))
    return kind_of(value)


def _number(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # an int of more digits than Python prints
        return "a huge number"


def kind_of(value: object) -> str:
    """Return what sort of value it is, in words that show nothing of it."""
    kinds: list[tuple[type | tuple[type, ...], str]] = [
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
        (str, "text"),
        (bool, "a boolean"),
        ((int, float), "a number"),
        (type(None), "nothing"),
        (os.PathLike, "a path"),
    ]
    found = next((name for kind, name in kinds if isinstance(value, kind)), None)
    return found or f"a {one_line(type(value).__name__)}"
