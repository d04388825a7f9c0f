"""A map and its journal: which items are answered there already, and what is still to be noted.

    input ──keys──▶ answered before? ──yes──▶ state
                          │no
                          ▼
                        engine ──answers──▶ noted ──written──▶ consumer

Answers are written at the end of a turn of the engine, many together; and before the consumer gets
any of them.
"""

from __future__ import annotations

import pickle
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core.replies import PickledReply, Reply, has_failed
from processpool.errors import JournalError
from processpool.journal import identity
from processpool.journal.entries import REPLIES, Entry, read_body
from processpool.journal.file import JournalFile, unreadable
from processpool.journal.keys import Key, Occurrences, keys_by
from processpool.journal.notices import warn_caller
from processpool.journal.recorded import MISSING, Recorded, Stored
from processpool.system.interrupts import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool.api.call_forms import Items
    from processpool.api.journal_options import JournalOptions
    from processpool.api.map_input import InputChunk
    from processpool.config import PoolConfig
    from processpool.core.jobs import Origin
    from processpool.engine.backend import Backend

PAUSE = 0.001
"""Seconds between two writes, unless the consumer takes something meanwhile."""


def identity_of(config: PoolConfig, function: Callable[..., Any]) -> dict[str, Any]:
    """Say what a map runs: the pool's command or handler, or else the function."""
    worker = config.worker
    if worker.kind == "command":
        return identity.of_command(worker.command, worker.protocol.kind, worker.codec)
    if worker.handler is not None:
        return identity.of_handler(worker.handler, [*map(str, worker.path), str(worker.cwd)])
    return identity.of_function(function)


class MapJournal:
    """The journal of one map."""

    def __init__(self, options: JournalOptions, items: Items, what: dict[str, Any]) -> None:
        """Open it.

        Raises:
            JournalError: it cannot be opened, is in use, damaged, or of something else.
        """
        self._options = options
        self._keys = items.keys
        self._is_spread = items.is_spread
        self._occurrences = Occurrences()
        self._expected: list[Key | None] = []
        """The keys of the items, by their index; None for those that are answered already."""
        self._is_planned = False
        self._written_at = 0.0
        self._file, self._recorded = _opened(options, what)

    # -- reading ---------------------------------------------------------------------------------

    def keys_of(self, chunk: InputChunk) -> list[Key]:
        """Return what the next items are known by, in the order in which they are read."""
        count = len(chunk.payloads)
        function = self._options.journal_key
        if function is None:
            keys = self._keys(chunk.items, chunk.payloads)
        else:
            keys = keys_by(function, chunk.items[:count], spread=self._is_spread)
        return self._occurrences.number(keys)

    def look_up(self, keys: list[Key]) -> list[Any] | None:
        """Return the answers to items, `MISSING` for those without one; None if none has any."""
        found = self._recorded.look_up(keys)
        if found is not None and Stored in set(map(type, found)):
            return [self._read(one) if type(one) is Stored else one for one in found]
        return found

    def _read(self, stored: Stored) -> PickledReply | Reply:
        kind, entries = read_body(self._file.body_at(stored.offset, stored.size))
        assert kind == REPLIES
        return Entry(*entries[0]).answer()

    def expect(self, start: int, keys: list[Key]) -> None:
        """Items are about to be submitted."""
        expected = self._expected
        if len(expected) < start:
            expected += [None] * (start - len(expected))
        expected += keys

    # -- noting ----------------------------------------------------------------------------------

    def note(self, index: int, value: Any) -> None:
        """An item has this value."""
        key = self._expected[index]
        assert key is not None
        self._file.note(key, index, value)

    def note_all(self, start: int, answers: list[Any], origin: Origin, *, cancelled: bool) -> None:
        """Consecutive items have these answers; errors of a map that was cancelled are none."""
        keys = self._expected[start : start + len(answers)]
        if origin.plain:
            self._file.note_run(keys, start, answers)
            return
        for index, (key, answer) in enumerate(zip(keys, answers, strict=False), start):
            if key is None or (cancelled and has_failed(answer)):
                continue
            if type(answer) is PickledReply or type(answer) is Reply:
                self._file.note_reply(key, index, answer, origin.stderr)
            else:
                self._file.note(key, index, answer)

    def plan(self, engine: Backend, fail: Callable[[JournalError], None]) -> None:
        """Have what was noted written soon; `fail` is called if it cannot be."""
        if self._is_planned:
            return
        self._is_planned = True

        def write() -> None:
            self._is_planned = False
            self._written_at = monotonic()
            try:
                self._file.flush()
            except JournalError as error:
                fail(error)

        if not engine.after_turn(max(self._written_at + PAUSE - monotonic(), 0.0), write):
            write()

    @uninterrupted
    def flush(self) -> None:
        """Write what was noted.

        Raises:
            JournalError: it cannot be written.
        """
        self._file.flush()

    @uninterrupted
    def close(self) -> None:
        """Write what was noted, and let others have the journal."""
        with suppress(JournalError):  # the consumer has got it, or another error
            self._file.close()


def _opened(options: JournalOptions, what: dict[str, Any]) -> tuple[JournalFile, Recorded]:
    file = JournalFile(options.journal, sync=options.journal_sync)
    recorded = Recorded(keeps_failed=options.journal_failed == "keep")
    try:
        for record in file.records():
            try:
                recorded.add(record)
            except pickle.UnpicklingError as error:
                raise unreadable(file.path, record, error) from None
        if recorded.what is None:
            file.begin(what)
        else:
            identity.require_same(file.path, recorded.what, what)
            if identity.has_changed(recorded.what, what):
                _on_changed(options, file, recorded, what)
    except BaseException:
        file.close()
        raise
    return file, recorded


def _on_changed(
    options: JournalOptions, file: JournalFile, recorded: Recorded, what: dict[str, Any]
) -> None:
    if options.journal_changed == "rerun":
        file.begin(what)
        recorded.forget()
        return
    warn_caller(
        f"the source of {what['name']} has changed since journal {file.path} was begun: what is "
        "in there is taken as it is; journal_changed='rerun' runs all items again"
    )


def spans(found: list[Any]) -> Iterator[tuple[int, int, bool]]:
    """Yield stretches of items: from, to, and whether they have an answer already."""
    begin, end = 0, len(found)
    while begin < end:
        is_done = found[begin] is not MISSING
        at = begin + 1
        while at < end and (found[at] is not MISSING) is is_done:
            at += 1
        yield begin, at, is_done
        begin = at
