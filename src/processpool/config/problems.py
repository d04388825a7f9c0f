"""One thing that is wrong with a configuration, and the error that carries them all.

Three rules hold here. A problem is one line, whatever a file holds: control characters are escaped
and long text is cut. It names the file as the user named it. And it comes in the file's order, not
in the order of finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from processpool.config.nodes import Path, Place
from processpool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SHOWN = 60
"""Characters of a value that a problem shows."""
MAX_LINES = 100
"""Problems that one error shows."""
_NOWHERE = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at `path`, said in the user's words.

    Attributes:
        path: The keys that lead to the value; empty for the whole file.
        sentence: What would be right, and what was found.
        place: The position in the file, where it is known.
        source: Whether the value came from the file, or from the caller's overrides.
    """

    path: Path
    sentence: str
    place: Place | None = None
    overridden: bool = False

    def line(self, label: str | None) -> str:
        """Return the problem as one line; `label` is the file's path, None for a dictionary."""
        parts = [dotted(self.path)] if self.path else []
        if self.overridden:
            parts.insert(0, "overrides")
        elif label is not None:
            at = self.place
            parts.insert(0, label if at is None else f"{label}:{at.line}:{at.column}")
        return ": ".join([*parts, self.sentence])


def config_error(problems: Iterable[Problem], label: str | None = None) -> ConfigError:
    """Return the one error that reports all `problems`, each of them once."""
    ordered = sorted(problems, key=lambda problem: (problem.overridden, problem.place or _NOWHERE))
    lines = tuple(dict.fromkeys(problem.line(label) for problem in ordered))
    more = [f"... and {len(lines) - MAX_LINES} more problems"] if len(lines) > MAX_LINES else []
    error = ConfigError("\n".join([*lines[:MAX_LINES], *more]))
    error.problems = lines
    return error


def dotted(path: Path) -> str:
    """Return `path` as it is read aloud: `worker.command[1]`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{one_line(part)}" for part in path]
    return "".join(parts).removeprefix(".")


def one_line(text: str) -> str:
    """Return `text` on one line, without control characters, and not longer than is useful."""
    cut = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def quoted(text: str) -> str:
    """Return `text` in the quotes that make it text in YAML."""
    return '"' + one_line(text).replace('"', '\\"') + '"'


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return what was probably meant by `word`, if anything known is near it."""
    return next(iter(get_close_matches(word[:MAX_SHOWN], list(known), n=1)), None)


def either(words: Iterable[str]) -> str:
    """Return `words` as a choice: `crash, timeout or error`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
