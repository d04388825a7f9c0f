"""Turns the frames of a Python worker into values: plain data is read, all else stays pickled.

Reading an answer here must not run the user's code, which may take long or never end. So whatever
may name a class or a function stays pickled until its consumer takes it.
"""

from __future__ import annotations

import marshal
from pickle import loads
from typing import TYPE_CHECKING, Any

from processpool.core.replies import PickledReply, Reply
from processpool.wire.python import layout
from processpool.wire.python.arena import split
from processpool.wire.python.layout import ENTRY, PLACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.wire.python.arena import Reader
    from processpool.wire.python.frames import Frame

_STACK_GLOBAL = b"\x93"
"""The opcode without which a pickle of ours names no class or function, and so runs no code."""
_NO_VALUES = frozenset({Reply, PickledReply})


class Answers:
    """Reads the answers of one worker."""

    def __init__(self, outbox: Reader, note_stderr: Callable[[str], object]) -> None:
        """Begin.

        Args:
            outbox: where the worker places large answers.
            note_stderr: takes what an item has written to stderr.
        """
        self._outbox = outbox
        self._note_stderr = note_stderr

    def decode(self, frames: list[Frame]) -> tuple[list[Any], bool]:
        """What is in frames, and whether all are values; what may run code stays pickled."""
        values: list[Any] = []
        plain = True
        for frame in frames:
            if values:
                values += self.values(frame)
            else:  # nearly always: one frame, and no copy of its values
                values = self.values(frame)
            plain = plain and frame[0] != layout.ENTRIES
        return values, plain or not any(type(value) in _NO_VALUES for value in values)

    def values(self, frame: Frame) -> list[Any]:
        """The answers in one frame."""
        kind, count, body = frame
        if kind == layout.ENTRIES:
            return self._entries(body)
        return plain_values(kind, count, body)

    def _entries(self, body: bytes) -> list[Any]:
        answers: list[Any] = []
        at, end = 0, len(body)
        while at < end:
            flags, size = ENTRY.unpack_from(body, at)
            begin = at + ENTRY.size
            at = end if flags & layout.LONG else begin + size
            entry = body[begin:at]
            try:
                if flags:
                    answers.append(self._unusual(flags, entry))
                elif _STACK_GLOBAL in entry:
                    answers.append(PickledReply([entry]))
                else:  # plain data, and little of it
                    answers.append(loads(entry))
            except Exception as error:  # an item has spoilt the memory
                answers.append(Reply(error=error, raw=entry))
        return answers

    def _unusual(self, flags: int, body: bytes) -> PickledReply:
        """An answer that lies elsewhere, or that is more than a value."""
        parts: list[Any] = [body]
        if flags & layout.AWAY:
            parts = self._outbox.read(*PLACE.unpack(body))
        elif flags & layout.LONG:
            parts = split(memoryview(body))
        if not flags & layout.REPLY:
            return PickledReply(parts)
        pickled, raised, stdout, stderr = loads(parts[0], buffers=parts[1:])
        if stderr:
            self._note_stderr(stderr)
        return PickledReply(pickled, raised, stdout, stderr)


def plain_values(kind: int, count: int, body: bytes) -> list[Any]:
    """So many values that can be nothing else."""
    values: list[Any]
    if kind == layout.PLAIN:
        values = loads(layout.PLAIN_HEAD + body + layout.PLAIN_TAIL)
    elif kind == layout.SHORT:
        values = marshal.loads(layout.SHORT_HEAD + count.to_bytes(4, "little") + body)
    else:
        values = memoryview(body).cast(layout.FORMATS[kind]).tolist()
    return values
