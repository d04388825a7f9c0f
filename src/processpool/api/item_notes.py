"""Which item an error is of, in a line: `item 17 of map 'parse': {'price': 'n/a'}`."""

from __future__ import annotations

from functools import partial
from pathlib import PurePath
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from processpool.api.notebook_errors import beautify
from processpool.core.glimpses import Unshown
from processpool.system.clock import wall_clock
from processpool.system.interrupts import SHIELD, USERS_CODE, uninterrupted
from processpool.system.text import escape_control
from processpool.wire.python.remote_errors import add_note

if TYPE_CHECKING:
    from processpool.api.again import Again
    from processpool.core.outcome import Outcome
    from processpool.wire.python.functions import Task

MOST = 200
"""Characters of a note."""
MASK = "***"
"""Stands for the value of a secret."""
SHORTEST_SECRET = 4
"""Characters of the shortest value that is masked; shorter ones stand in any text by chance."""
_CONTAINERS = {tuple, list, dict, set, frozenset}
_PLAIN = {int, float, complex, bool, str, bytes, bytearray, type(None), range}

_repr = Repr()
_repr.maxstring = _repr.maxother = 120
_repr.maxdict = _repr.maxlist = _repr.maxtuple = _repr.maxset = 8
_repr.maxlevel = 3


class Naming:
    """How the items of one job are called; `core.jobs.Naming` says what it must have."""

    __slots__ = ("again", "map", "name", "secrets")

    def __init__(
        self,
        name: str,
        *,
        is_map: bool,
        secrets: tuple[str, ...] = (),
        again: Again | None = None,
    ) -> None:
        """Name items.

        Args:
            name: what they are called.
            is_map: whether they are those of a map.
            secrets: texts that must not show.
            again: what runs them once more, if they are single requests.
        """
        self.again = again
        self.name = name
        self.map = is_map
        self.secrets = tuple(text for text in secrets if len(text) >= SHORTEST_SECRET)

    @uninterrupted
    def mark(self, record: Outcome, *, safely: bool = False) -> None:
        """Say on the error of a record which item it is of, unless that was said before."""
        error = record.error
        if error is not None and getattr(error, "record", None) is None:
            if safely:  # perhaps in a turn of the engine, where no interrupt may be raised
                note = self.note(record.index, record.args, safely=True)
            else:
                with USERS_CODE:
                    note = self.note(record.index, record.args)
            add_note(error, note)
            beautify(error)

    def retry(self, task: Task | None) -> Any:
        """Return what runs single requests again, given their arguments; None if nothing does."""
        return None if self.again is None else partial(self.again.run, task)

    def wall_clock(self, at: float) -> float:
        """Return what `time.time()` was when the monotonic clock said this."""
        return wall_clock(at)

    def note(self, index: int, args: tuple[Any, ...], *, safely: bool = False) -> str:
        """Return a line that says which item this is.

        Args:
            index: its position in its map.
            args: its arguments.
            safely: run none of the user's code for that.
        """
        head = f"item {index} of map {self.name!r}" if self.map else f"call of {self.name!r}"
        if not args:
            return head
        shown = self.masked(", ".join(show(arg, safely=safely) for arg in args))
        text = escape_control(f"{head}: {shown}").replace("\n", "\\n").replace("\t", "\\t")
        return text if len(text) <= MOST else text[: MOST - 1] + "…"

    def masked(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text

    def arguments(self, args: tuple[Any, ...], *, most: int = MOST) -> str:
        """Return a short text for arguments, without running the user's code."""
        shown = self.masked(", ".join(show(arg, safely=True) for arg in args))
        text = escape_control(shown).replace("\n", "\\n").replace("\t", "\\t")
        return text if len(text) <= most else text[: most - 1] + "…"


def show(value: Any, *, safely: bool = False) -> str:
    """Return a short text for a value; `safely` runs none of the user's code for that."""
    if isinstance(value, PurePath):
        return str(value)
    if type(value) is Unshown:
        return repr(value)
    if safely and not _is_plain(value):
        return f"<{type(value).__module__}.{type(value).__qualname__}>"
    try:
        return _repr.repr(value)
    except BaseException as error:  # its class has a mind of its own
        if SHIELD.has_raised(error):
            raise
        return f"<{type(value).__qualname__} (it cannot be shown)>"


def _is_plain(value: Any, depth: int = 3) -> bool:
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind not in _CONTAINERS or not depth:
        return False
    parts = [*value.keys(), *value.values()] if kind is dict else value
    return len(parts) <= 1000 and all(_is_plain(part, depth - 1) for part in parts)
