"""What a journal holds, as far as a run that goes on must know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.core.replies import PickledReply, Reply
from processpool.journal.entries import BEGIN, REPLIES, VALUES, Entry, read_body

if TYPE_CHECKING:
    from processpool.journal.keys import Key
    from processpool.wire.records import Record

KEPT = 16 * 1024
"""Bytes of a record up to which its answer is kept in memory; of others, where it stands."""
MISSING = object()
"""Stands for the answer of an item that has none yet."""
_NO_VALUES = frozenset({PickledReply, Reply})


class Stored:
    """An answer that was left in the file: where the body of its record is, and its length."""

    __slots__ = ("offset", "size")

    def __init__(self, offset: int, size: int) -> None:
        self.offset = offset
        self.size = size


class Recorded:
    """The answers in a journal, by the keys of their items."""

    def __init__(self, *, keeps_failed: bool) -> None:
        """With `keeps_failed`, an error is an answer as well."""
        self._keeps_failed = keeps_failed
        self._answers: dict[Key, Any] = {}
        self.what: dict[str, Any] | None = None
        """What is run, as the file says."""

    def __len__(self) -> int:
        return len(self._answers)

    def forget(self) -> None:
        """Let no answer count."""
        self._answers.clear()

    def add(self, record: Record) -> None:
        """Take in the next record of the file.

        Raises:
            pickle.UnpicklingError: no journal writes this.
        """
        kind, *rest = read_body(record.body)
        if kind == VALUES:
            keys, _, values = rest
            self._answers.update(zip(keys, values, strict=True))
        elif kind == REPLIES:
            entries = [Entry(*entry) for entry in rest[0]]
            for entry in entries:
                if entry.raised is not None and not self._keeps_failed:
                    continue
                if len(entries) == 1 and entry.size > KEPT:
                    self._answers[entry.key] = Stored(record.offset, len(record.body))
                else:
                    self._answers[entry.key] = entry.answer()
        elif kind == BEGIN:
            self.what = rest[0]
            self.forget()

    def look_up(self, keys: list[Key]) -> list[Any] | None:
        """Return the answers to items, `MISSING` for those without one; None if none has any."""
        answers = self._answers
        if not answers:
            return None
        get = answers.get
        found = [get(key, MISSING) for key in keys]
        return None if found.count(MISSING) == len(found) else found


def is_plain(answers: list[Any]) -> bool:
    """True if these answers are values and nothing else."""
    return _NO_VALUES.isdisjoint(map(type, answers))
