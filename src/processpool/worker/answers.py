"""Encoding of a worker's answers: plain values, pickles, or replies with output or an error.

Large answers are put into shared memory, and only their place into the journal.
"""

from __future__ import annotations

import os
from _pickle import PickleBuffer

from processpool.wire.python import layout
from processpool.wire.python.arena import Arena, join
from processpool.wire.python.layout import ENTRY, LARGE, PLACE
from processpool.wire.python.pickling import PROTOCOL, collector, dumps, pack_answer
from processpool.wire.python.raised import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processpool.wire.python.journal import Journal
    from processpool.worker.output import Output


class Answers:
    """Writes answers into the journal."""

    def __init__(self, journal: Journal, outbox: int) -> None:
        """`outbox` is the descriptor of the shared memory for large answers."""
        self.outbox = Arena(outbox, 0)
        self.output: Output
        self._journal = journal

    def disown(self) -> None:
        """In a child that an item has forked: exit instead of answering."""
        self.reply = _leave  # type: ignore[method-assign]

    def value(self, value: Any, body: bytes | None = None) -> None:
        """Answer with a value; `body` is its pickle without head and tail, if it is plain."""
        if body is not None and len(body) <= len(self._journal.memory):
            self._journal.append(layout.PLAIN, body)
            return
        try:
            parts = pack_answer(value)
        except BaseException as error:
            self.reply(None, _unsendable(error, value))
        else:
            self._entry(0, parts)

    def reply(self, value: Any, raised: Any) -> None:
        """Answer with an error, or with a value and the item's output."""
        self.output.own(self._journal.page[layout.STARTED])
        stdout, stderr = self.output.take()
        pickled = None
        if raised is None:
            try:
                pickled = [PickleBuffer(part) for part in pack_answer(value)]
            except BaseException as error:
                raised = _unsendable(error, value)
        large: list[Any] = []
        reply = (pickled, raised, stdout, stderr)
        stream = dumps(reply, PROTOCOL, buffer_callback=collector(large, LARGE))
        self._entry(layout.REPLY, [stream, *large])

    def entry(self, value: Any) -> list[Any]:
        """Return a value as an entry, in pieces; what is large is put into shared memory.

        Raises:
            Exception: it cannot be pickled.
        """
        try:
            parts = pack_answer(value)
        except BaseException as error:
            note_unsendable(error, value, "part")
            raise
        if len(parts) == 1 and len(parts[0]) < LARGE:
            return [ENTRY.pack(0, len(parts[0])) + parts[0]]
        try:
            place = self.outbox.place(parts)
        except OSError:
            return [ENTRY.pack(layout.LONG, 0), *join(parts)]
        return [ENTRY.pack(layout.AWAY, PLACE.size) + PLACE.pack(*place)]

    def _entry(self, flags: int, parts: list[Any]) -> None:
        """Write an answer as an entry; its parts into shared memory, if they are large."""
        if len(parts) == 1 and len(parts[0]) < LARGE:
            self._journal.append(layout.ENTRIES, ENTRY.pack(flags, len(parts[0])) + parts[0])
            return
        try:
            place = self.outbox.place(parts)
        except OSError:
            self._send_long(flags | layout.LONG, parts)
        else:
            entry = ENTRY.pack(flags | layout.AWAY, PLACE.size) + PLACE.pack(*place)
            self._journal.append(layout.ENTRIES, entry)

    def _send_long(self, flags: int, parts: list[Any]) -> None:
        """Send a large answer through the pipe, since no shared memory is left."""
        self._journal.flush()
        self._journal.send(layout.ENTRIES, 1, ENTRY.pack(flags, 0), *join(parts))
        self._journal.page[layout.BASE] += 1


def _unsendable(error: BaseException, value: Any) -> Any:
    note_unsendable(error, value, "result")
    return describe(error, globals())


def note_unsendable(error: BaseException, value: Any, what: str) -> None:
    """Say on an error which part of a value cannot be sent back."""
    try:
        from processpool.wire.python.unpicklable import find

        place = find(value)
        where = f": {place.strip()}" if place else ""
        kind = type(value).__qualname__
        error.add_note(f"The {what}, of type {kind}, cannot be sent back{where}.")
    except Exception:
        pass  # an exception of the user's may reject notes


def _leave(value: Any, raised: Any) -> None:
    """Exit a forked child that has returned from the item that forked it."""
    if raised is None or (raised[1] == "SystemExit" and raised[2] in ("", "0", "None")):
        os._exit(0)
    os.write(2, raised[3].encode("utf-8", "replace"))
    os._exit(1)
