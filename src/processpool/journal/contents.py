"""What is in a journal, for people: each item once, with what has become of it in the end.

The file is only read, and may be in use; its last record may be about to be written.
"""

from __future__ import annotations

import marshal
import os
import pickle
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from processpool.errors import JournalError
from processpool.journal.entries import BEGIN, VALUES, Entry, load_plain, read_body
from processpool.journal.file import read_records, unreadable
from processpool.wire.records import RecordReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.journal.keys import Key


@dataclass(slots=True)
class Item:
    """What a journal knows of one item."""

    key: Key
    index: int
    value: Any
    """Its value, if that is plain; else the entry that has it."""

    @property
    def entry(self) -> Entry | None:
        """What is known of an answer that is more than a plain value."""
        return self.value if isinstance(self.value, Entry) else None

    @property
    def error(self) -> str | None:
        """The class and message of its error; None if it has a value."""
        entry = self.entry
        if entry is None or entry.raised is None:
            return None
        _, name, message, _, _ = entry.raised
        return f"{name.rpartition('.')[2]}: {message}"


class Contents:
    """A journal that was read to its end."""

    def __init__(self, path: str) -> None:
        """Read it.

        Raises:
            JournalError: it cannot be read, or is damaged.
        """
        self.what: dict[str, Any] = {}
        self.items: dict[Key, Item] = {}
        self.size = 0
        """Bytes that are whole."""
        self.torn = 0
        """Bytes of a record that was not written to its end."""
        reader = RecordReader()
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise JournalError(f"journal {path} cannot be read: {error.strerror}") from error
        try:
            for record in read_records(descriptor, path, reader):
                try:
                    self._add(*read_body(record.body))
                except pickle.UnpicklingError as error:
                    raise unreadable(path, record, error) from None
        finally:
            os.close(descriptor)
        self.size, self.torn = reader.offset, reader.left

    def _add(self, kind: int, *rest: Any) -> None:
        if kind == BEGIN:
            self.what = rest[0]
            self.items.clear()
        elif kind == VALUES:
            keys, indexes, values = rest
            if isinstance(indexes, int):
                indexes = range(indexes, indexes + len(keys))
            for key, index, value in zip(keys, indexes, values, strict=True):
                self.items[key] = Item(key, index, value)
        else:
            for found in rest[0]:
                entry = Entry(*found)
                self.items[entry.key] = Item(entry.key, entry.at, entry)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield each item as JSON can say it, in the order in which they were first answered."""
        is_command = self.what.get("kind") == "command"
        for item in self.items.values():
            yield _exported(item, is_command=is_command)


def _exported(item: Item, *, is_command: bool) -> dict[str, Any]:
    key, occurrence = item.key if isinstance(item.key, tuple) else (item.key, 0)
    record: dict[str, Any] = {"index": item.index, "occurrence": occurrence}
    record |= {"digest": key} if isinstance(key, str) else _input_of(key, is_command=is_command)
    record["ok"] = item.error is None
    entry = item.entry
    if entry is None:
        return record | _said("value", item.value)
    if entry.raised is not None:
        _, name, message, text, _ = entry.raised
        record |= {"error": item.error, "type": name, "message": message, "traceback": text}
    else:
        parts = entry.parts or []
        try:
            record |= _said("value", load_plain(parts[0], parts[1:]))
        except pickle.UnpicklingError:  # it names a class
            record["pickle"] = [b64encode(part).decode() for part in parts]
    if entry.stdout:
        record["stdout"] = entry.stdout
    if entry.stderr:
        record["stderr"] = entry.stderr
    return record


def _input_of(key: bytes, *, is_command: bool) -> dict[str, Any]:
    """What the item was, where its key says so."""
    if is_command:
        return _said("input", key.decode("utf-8", "backslashreplace"))
    try:
        found = load_plain(key) if key[:1] == b"\x80" else marshal.loads(key)
    except (pickle.UnpicklingError, ValueError, EOFError, TypeError):
        return {"digest": key.hex()}
    return _said("input", found)


def _said(name: str, value: Any) -> dict[str, Any]:
    """A value as JSON can say it: as it is, or what Python writes for it."""
    return {name: value} if _is_json(value) else {f"{name}_repr": repr(value)}


def _is_json(value: Any) -> bool:
    if value is None or isinstance(value, str | bool | int):
        return True
    if isinstance(value, float):
        return value - value == 0  # neither infinite nor no number
    if type(value) is list:
        return all(map(_is_json, value))
    if type(value) is dict:
        return all(isinstance(key, str) for key in value) and all(map(_is_json, value.values()))
    return False
