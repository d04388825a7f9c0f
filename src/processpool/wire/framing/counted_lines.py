"""Framing of answers with a fixed number of lines.

One rule holds here: an answer includes the newlines between its lines, but not the last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.wire.framing.declared_framing import DeclaredFraming

if TYPE_CHECKING:
    from processpool.wire.framing.declaration import Declaration


class CountedLinesFraming(DeclaredFraming):
    """A framing for answers that all have the same number of lines."""

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        self._lines = declaration.answer.lines or 1
        self._missing = self._lines
        """The number of lines missing from the unfinished answer."""

    def whole(self, data: bytes) -> bytes | None:
        """Return the answer if `data` is exactly one; see `Framing.whole`."""
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
        """Return the index after the answer's last newline; 0 if that has not been received."""
        while stop := data.find(b"\n", begin) + 1:
            self._missing -= 1
            if not self._missing:
                self._missing = self._lines
                return stop
            begin = stop
        return 0
