"""A journal's file: opened and locked, read to its end, and appended to.

Answers are noted one by one, or a run at a time, by whichever thread has them, and written by
`flush`, all in one write. What was written outlives the process; once a second it is also brought
to the disk, by a thread of the file's own.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Any, Literal

from processpool.errors import JournalError
from processpool.journal.entries import begin_body, make_entry, replies_body, values_body
from processpool.journal.notices import warn_caller
from processpool.journal.recorded import KEPT
from processpool.system.file_lock import Locked, lock_file, unlock_file
from processpool.wire.records import (
    FORMAT,
    OPENING,
    Broken,
    OtherFormat,
    RecordReader,
    encode_record,
)

if TYPE_CHECKING:
    import pickle
    from collections.abc import Iterator

    from processpool.journal.entries import Entry
    from processpool.journal.keys import Key
    from processpool.wire.records import Record

Sync = Literal["1s", "always", "never"]

BLOCK = 1024 * 1024
"""Bytes read at a time, unless a record is larger."""
SYNC_EVERY = 1.0
"""Seconds between two times that what was written is brought to the disk."""

_open: weakref.WeakSet[JournalFile] = weakref.WeakSet()


class JournalFile:
    """One journal, opened by one run."""

    def __init__(self, path: str, *, sync: Sync = "1s") -> None:
        """Open and lock it; a new one is made.

        Raises:
            JournalError: it cannot be opened, or is in use.
        """
        self.path = path
        self.error: JournalError | None = None
        """Why nothing more can be written, if so."""
        self._sync = sync
        self._lock = RLock()
        """Guards the buffers and the writing; a finalizer may close it in the midst of that."""
        self._singles: list[tuple[Key, int, Any]] = []
        self._runs: list[tuple[list[Any], int, list[Any]]] = []
        self._entries: list[Entry] = []
        self._is_busy = self._is_to_close = False
        self._syncer: _Syncer | None = None
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            lock_file(self._fd)
        except Locked as locked:
            self._drop()
            who = "another process" if locked.pid is None else f"process {locked.pid}"
            who = "another map of this process" if locked.pid == os.getpid() else who
            number = "" if locked.pid != os.getpid() else f" ({locked.pid})"
            raise JournalError(
                f"journal {path} is in use by {who}{number}; wait for its end, or name another file"
            ) from None
        except OSError as error:
            self._drop()
            raise JournalError(f"journal {path} cannot be opened: {error.strerror}") from error
        _open.add(self)
        self.size = os.fstat(self._fd).st_size
        """Bytes that are whole."""

    # -- reading ---------------------------------------------------------------------------------

    def records(self) -> Iterator[Record]:
        """Yield what it holds; an end that was torn is cut off, with a warning.

        Raises:
            JournalError: it is damaged, or no journal that this version can read.
        """
        reader = RecordReader()
        yield from read_records(self._fd, self.path, reader)
        if reader.left:
            warn_caller(
                f"the last record of journal {self.path} was not written to its end: "
                f"{reader.left} bytes are cut off at byte {reader.offset}"
            )
            os.ftruncate(self._fd, reader.offset)
        self.size = reader.offset

    def body_at(self, offset: int, size: int) -> bytes:
        """Return the body of a record that was read before."""
        return os.pread(self._fd, size, offset)

    # -- writing ---------------------------------------------------------------------------------

    def begin(self, what: dict[str, Any]) -> None:
        """Say what is run; answers that are there already do not count any more.

        Raises:
            JournalError: it cannot be written.
        """
        record = encode_record(begin_body(what))
        with self._lock:
            self._write(record if self.size else OPENING + record)

    def note(self, key: Key, index: int, value: Any) -> None:
        """An item has a plain value. May be called by several threads, as the next two."""
        self._singles.append((key, index, value))

    def note_run(self, keys: list[Any], start: int, values: list[Any]) -> None:
        """Consecutive items have plain values."""
        self._runs.append((keys, start, values))

    def note_reply(self, key: Key, index: int, answer: Any, stderr: str) -> None:
        """An item has an answer that is more than a value."""
        self._entries.append(make_entry(key, index, answer, stderr))

    def flush(self) -> None:
        """Write what was noted; when it returns, all that was noted before is in the file.

        Raises:
            JournalError: it cannot be written; what was noted is not there then.
        """
        with self._lock:
            if self.error is not None:
                raise self.error
            if self._fd < 0 or not (self._singles or self._runs or self._entries):
                return
            self._is_busy = True
            try:
                self._write(b"".join(self._take()))
            finally:
                self._is_busy = False
                if self._is_to_close:
                    self._close()

    def _take(self) -> Iterator[bytes]:
        """The records of what was noted, which is forgotten."""
        singles, self._singles = self._singles, []
        runs, self._runs = self._runs, []
        entries, self._entries = self._entries, []
        if singles:
            keys, indexes, values = map(list, zip(*singles, strict=True))
            yield encode_record(values_body(keys, indexes, values))
        for run in runs:
            yield encode_record(values_body(*run))
        small = [entry for entry in entries if entry.size <= KEPT]
        if small:
            yield encode_record(replies_body(small))
        for entry in entries:
            if entry.size > KEPT:
                yield encode_record(replies_body([entry]))

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
            if self._sync == "always":
                os.fdatasync(self._fd)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._fd, self.size)
            self.error = JournalError(
                f"journal {self.path} cannot be written: {error.strerror}; what it holds is whole: "
                "run it again with the same journal to go on"
            )
            self.error.__cause__ = error
            raise self.error from error
        self.size += len(data)
        if self._sync == "1s":
            if self._syncer is None:
                self._syncer = _Syncer(self)
                self._syncer.start()
            self._syncer.dirty.set()

    # -- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what was noted, bring it to the disk, and unlock the file.

        Raises:
            JournalError: it cannot be written.
        """
        with self._lock:
            if self._is_busy:  # this is a finalizer, in the midst of a write by this thread
                self._is_to_close = True
                return
            try:
                if self._fd >= 0 and self.error is None:
                    self.flush()
            finally:
                self._close()

    def _close(self) -> None:
        if self._fd < 0:
            return
        syncer, self._syncer = self._syncer, None
        if syncer is not None:
            syncer.end()
        with suppress(OSError):
            if self._sync != "never":
                os.fdatasync(self._fd)
            unlock_file(self._fd)
        self._drop()

    def sync(self) -> None:
        """Bring what was written to the disk."""
        with suppress(OSError):
            os.fdatasync(self._fd)

    def disown(self) -> None:
        """In a fork: the file is the parent's."""
        self._lock = RLock()
        self._singles, self._runs, self._entries = [], [], []
        self._syncer = None
        self._drop()

    def _drop(self) -> None:
        descriptor, self._fd = self._fd, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()


class _Syncer(Thread):
    """Brings what was written to the disk, once a second at most."""

    def __init__(self, file: JournalFile) -> None:
        super().__init__(name="processpool-journal", daemon=True)
        self._file = weakref.ref(file)
        self._using = RLock()
        self._ended = Event()
        self.dirty = Event()

    def run(self) -> None:
        """Wait for something to be written, and sync it."""
        while True:
            self.dirty.wait()
            self.dirty.clear()
            with self._using:
                file = self._file()
                if self._ended.is_set() or file is None:
                    return
                file.sync()
                del file
            if self._ended.wait(SYNC_EVERY):
                return

    def end(self) -> None:
        """Have it do nothing more; when this returns, it does not use the file."""
        self._ended.set()
        self.dirty.set()
        with self._using:
            pass


def read_records(descriptor: int, path: str, reader: RecordReader) -> Iterator[Record]:
    """Yield the records of a file from its begin.

    Raises:
        JournalError: it is damaged, or no journal that this version can read.
    """
    at = 0
    try:
        while data := os.pread(descriptor, max(BLOCK, reader.missing), at):
            at += len(data)
            yield from reader.feed(data)
    except Broken as broken:
        raise damaged(path, broken.offset, broken.what, is_journal=reader.is_begun) from None
    except OtherFormat as other:
        raise JournalError(
            f"journal {path} has format {other.name}, and this version reads format {FORMAT}: use "
            "the version that has written it, or another file"
        ) from None
    except OSError as error:
        raise JournalError(f"journal {path} cannot be read: {error.strerror}") from error


def damaged(path: str, offset: int, what: str, *, is_journal: bool = True) -> JournalError:
    """Return the error of a journal that is not whole."""
    if not is_journal:
        return JournalError(f"{path} is no journal: {what} (byte {offset}); name another file")
    return JournalError(
        f"journal {path} is damaged at byte {offset}: {what}; all before it is whole, and "
        f"`truncate -s {offset} FILE` gives up the rest"
    )


def unreadable(path: str, record: Record, error: pickle.UnpicklingError) -> JournalError:
    """Return the error of a record that is whole, and makes no sense."""
    return damaged(path, record.offset, f"no journal holds this ({error})")


def _disown_all() -> None:
    for file in list(_open):
        file.disown()


os.register_at_fork(after_in_child=_disown_all)
