"""The data of one pool as plain Python values, with the origin of each value.

Three rules hold here. `shown` alone decides what an error may show of a value: the text as the user
wrote it, never what a variable holds, and nothing of an `env` value. The paths of values whose
problem is reported already are in `unknown`, so that each is reported once. And a value that the
caller overrides replaces the file's, along with the file's problems at that path.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from processpool.config.problems import Problem, one_line, quoted

if TYPE_CHECKING:
    from processpool.config.nodes import Path, Place

ENV_KEY = "env"
"""The key below which no value is ever shown."""
_MAX_NESTING = 4
"""The deepest nesting of mappings in the models: the pool, `worker`, `protocol`, `answer`."""


@dataclass(slots=True)
class Document:
    """The data of one pool.

    Attributes:
        data: The data to validate: dictionaries, lists and scalars.
        prefix: The keys above it: `("pools", name)` in a file with several pools, else empty.
        places: The position of each value.
        keys: The position of each key.
        written: The text of each scalar in the file, as errors may show it.
        unquoted: The paths of scalars without quotes.
        unknown: The paths of values that were rejected already.
        overridden: The paths of values that the caller set.
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
        """Return a `Problem` of the value at `path`, or of its key, with the nearest position."""
        place = self.keys.get(path) if at_key else None
        for length in range(len(path), -1, -1):
            place = place or self.places.get(path[:length])
        overridden = self.is_overridden(path)
        return Problem(path if overridden else self.prefix + path, sentence, place, overridden)

    def is_overridden(self, path: Path) -> bool:
        """Return whether the value at `path` came from the caller's overrides."""
        return any(path[:length] in self.overridden for length in range(1, len(path) + 1))

    def is_unknown(self, path: Path) -> bool:
        """Return whether the value at `path`, or a container of it, was rejected already."""
        refused = any(path[:length] in self.unknown for length in range(len(path) + 1))
        return refused and not self.is_overridden(path)

    def existing(self, path: Path) -> Path:
        """Return the longest prefix of `path` in the data: a short form lacks the inner keys."""
        value = self.data
        for length, part in enumerate(path):
            try:
                value = _step(value, part)
            except (LookupError, TypeError):
                return path[:length]
        return path

    def at(self, path: Path) -> object:
        """Return the value at `path`, which must exist."""
        value = self.data
        for part in path:
            value = _step(value, part)
        return value

    def shown(self, path: Path) -> str:
        """Return the value at `path` as an error may show it."""
        if ENV_KEY in path:
            return kind_of(self.at(path))
        if path in self.written and not self.is_overridden(path):
            return self.written[path]
        return _describe(self.at(path))

    def wants_quotes(self, path: Path) -> bool:
        """Return whether an error may suggest to put the value at `path` in quotes."""
        return path in self.unquoted and ENV_KEY not in path and not self.is_overridden(path)


def plain(value: object, depth: int = _MAX_NESTING) -> object:
    """Return `value` with its mappings copied to dictionaries, `depth` levels deep.

    The user's mapping classes are thus called only here, and what their `items` raises is not
    mistaken for a validation error.
    """
    if depth and isinstance(value, Mapping):
        return {key: plain(below, depth - 1) for key, below in value.items()}
    return value


def _step(value: Any, part: str | int) -> object:
    if not isinstance(value, dict | list | tuple):
        raise TypeError("nothing stands below a scalar")
    # A dictionary that came from PyYAML has True for the key `on`.
    return value[True] if part == "on" and part not in value else value[part]  # type: ignore[index]


def _describe(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool | int | float):
        return one_line(_number_text(value))
    return kind_of(value)


def _number_text(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # an int of more digits than Python prints
        return "a huge number"


def kind_of(value: object) -> str:
    """Return the type of `value` as a noun phrase such as "a mapping", without the value."""
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
