"""Answers with a fixed number of lines.

One rule holds here: the lines of an answer stay as they are, including the newlines between them;
only the newline after the last one is not part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.wire.framing.declared_framing import DeclaredFraming

if TYPE_CHECKING:
    from processpool.wire.framing.declaration import Declaration


class CountedLinesFraming(DeclaredFraming):
    """Turns bytes as they arrive into answers of the same number of lines each."""

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        self._lines = declaration.answer.lines or 1
        self._missing = self._lines
        """Lines that the unfinished answer still lacks."""

    def whole(self, data: bytes) -> bytes | None:
        """The answer, if these bytes are exactly one; see `Framing.whole`."""
        if (
            data[-1:] != b"\n"
            or len(data) > self._max
            or not self.is_clean
            or data.count(b"\n") != self._lines
            or (self._skip is not None and self._skip(data[:-1]))
        ):
            return None
        return data[:-1]

    def _messages(self, data: bytes) -> list[bytes]:
        if self._lines == 1 and not self._size and data[-1:] == b"\n" and len(data) <= self._max:
            return data[:-1].split(b"\n")
        messages: list[bytes] = []
        begin = 0
        while begin < len(data):
            stop = self._stop(data, begin)
            if not stop:
                self._keep(data[begin:])
                if self._size > self._max:
                    self._refuse(self._kept())
                break
            if self._size:
                self._keep(memoryview(data)[begin:stop])
                message = self._kept()[:-1]
            else:
                message = data[begin : stop - 1]
            if len(message) > self._max:
                self._refuse(message)
                break
            messages.append(message)
            begin = stop
        return messages

    def _stop(self, data: bytes, begin: int) -> int:
        """Return where the answer ends, behind its last newline; 0 if that has not come."""
        while stop := data.find(b"\n", begin) + 1:
            self._missing -= 1
            if not self._missing:
                self._missing = self._lines
                return stop
            begin = stop
        return 0
