"""What the caller of a map may say about its journal."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

if TYPE_CHECKING:
    from collections.abc import Callable

Sync = Literal["1s", "always", "never"]
Path = str | os.PathLike[str]
Failed = Literal["rerun", "keep"]
Changed = Literal["warn", "rerun"]


class JournalKeywords(TypedDict, total=False):
    """How a map keeps its journal; arguments of every map that takes `journal=`."""

    journal_key: Callable[..., Any] | None
    """What an item is known by: a function of the item that returns a str, bytes, a number, or a
    tuple of these. Where pickles of equal items are not equal, as those of sets."""
    journal_sync: Sync
    """When what was written is brought to the disk: `1s`, once a second and at the end; `always`;
    or `never`, which leaves it to the system. A crash of the program loses nothing either way."""
    journal_failed: Failed
    """Whether items that have failed are run again (`rerun`), or fail as before (`keep`)."""
    journal_changed: Changed
    """If the source of the function is not what it was: `warn`, or `rerun` all items."""


@dataclass(frozen=True)
class JournalOptions:
    """Which journal a map has, and how it keeps it."""

    journal: str
    journal_key: Callable[..., Any] | None = None
    journal_sync: Sync = "1s"
    journal_failed: Failed = "rerun"
    journal_changed: Changed = "warn"

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
            value, choices = getattr(self, name), get_args(kind)
            if value not in choices:
                wanted = " or ".join(map(repr, choices))
                raise ValueError(f"{name} must be {wanted}, got {value!r}")


_CHOICES = {"journal_sync": Sync, "journal_failed": Failed, "journal_changed": Changed}
_NAMES = {field.name for field in fields(JournalOptions)}


def journal_options(
    method: str, journal: Path | None, keywords: JournalKeywords
) -> JournalOptions | None:
    """Return what a map was told about its journal; None if it has none.

    Raises:
        TypeError: it was told something else.
        ValueError: it was told something impossible.
    """
    for name in keywords:
        if name not in _NAMES:
            raise TypeError(f"{method}() got an unexpected keyword argument {name!r}")
    if journal is None:
        if keywords:
            raise TypeError(f"{next(iter(keywords))} says something about a journal: name one")
        return None
    return JournalOptions(os.fsdecode(journal), **keywords)
