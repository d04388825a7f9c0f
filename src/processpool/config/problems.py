"""Problems found in a configuration, and the `ConfigError` that reports them all.

Three rules hold here. A problem is one line, whatever the file contains: control characters are
escaped and long text is cut. The file is named as the user named it. And problems are sorted by
their position in the file, not by when they were found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from processpool.config.nodes import Path, Place
from processpool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SHOWN = 60
"""The most characters of a value that a problem shows."""
MAX_LINES = 100
"""The most problems that one error lists."""
_NOWHERE = Place(0, 0)


class Problem(NamedTuple):
    """One problem of a configuration.

    Attributes:
        path: The keys that lead to the value; empty for the whole file.
        sentence: What is expected, and what was found.
        place: The position in the file, if it is known.
        overridden: True if the value came from the caller's overrides, not from the file.
    """

    path: Path
    sentence: str
    place: Place | None = None
    overridden: bool = False

    def line(self, label: str | None) -> str:
        """Return the problem on one line; `label` is the file's path, or None for a dictionary."""
        parts = [dotted(self.path)] if self.path else []
        if self.overridden:
            parts.insert(0, "overrides")
        elif label is not None:
            at = self.place
            parts.insert(0, label if at is None else f"{label}:{at.line}:{at.column}")
        return ": ".join([*parts, self.sentence])


def config_error(problems: Iterable[Problem], label: str | None = None) -> ConfigError:
    """Return an error that lists `problems`, in the order of the file and without duplicates."""
    ordered = sorted(problems, key=lambda problem: (problem.overridden, problem.place or _NOWHERE))
    lines = tuple(dict.fromkeys(problem.line(label) for problem in ordered))
    more = [f"... and {len(lines) - MAX_LINES} more problems"] if len(lines) > MAX_LINES else []
    error = ConfigError("\n".join([*lines[:MAX_LINES], *more]))
    error.problems = lines
    return error


def dotted(path: Path) -> str:
    """Return `path` in dotted notation: `worker.command[1]`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{one_line(part)}" for part in path]
    return "".join(parts).removeprefix(".")


def one_line(text: str) -> str:
    """Return `text` with control characters escaped, cut to `MAX_SHOWN` characters."""
    cut = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def quoted(text: str) -> str:
    """Return `text` in double quotes, as YAML reads it as text."""
    return '"' + one_line(text).replace('"', '\\"') + '"'


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` is probably a misspelling of, if there is one."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word[:MAX_SHOWN], list(known), n=1)), None)


def either(words: Iterable[str]) -> str:
    """Return `words` joined as a choice: `crash, timeout or error`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
