"""Framing of answers that end with a line that matches a regular expression.

Two rules hold here. The pattern is tried once per line, when the line is complete. And if the
pattern cannot match across a newline, all received lines are searched at once, which costs as much
as searching one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.wire.framing.declared_framing import DeclaredFraming
from processpool.wire.framing.regex import whole_line

if TYPE_CHECKING:
    from processpool.wire.framing.declaration import Declaration

_NOWHERE = 0, 0


class UntilLineFraming(DeclaredFraming):
    """A framing for answers that end with a matching line."""

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        rule = declaration.answer
        self._keeps_line = rule.keep
        self._search = declaration.end_line.search
        at_once = whole_line(rule.until_line or "")
        self._at_once = at_once is not None
        finder, self._is_anchored = at_once or (declaration.end_line, False)
        self._find = finder.search
        self._is_quick &= self._at_once
        self._line: list[bytes] = []
        """The received pieces of an unfinished line; complete lines are in the base's buffer."""
        self._pending = 0
        """The number of bytes of these."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the answers that they complete, in order."""
        if self._is_quick:
            answer = self._only(data)
            if answer is not None:
                return [answer]
        answers = super().feed(data)
        self._is_quick &= self._at_once
        return answers

    def whole(self, data: bytes) -> bytes | None:
        """Return the answer if `data` is exactly one; see `Framing.whole`."""
        return self._only(data) if self._is_quick else None

    def _only(self, data: bytes) -> bytes | None:
        found = self._find(data)
        if found is None or found.end() != len(data) or len(data) > self._max:
            return None
        if self._keeps_line:
            return data[:-1]
        at = found.start()
        return data[: at if self._is_anchored else data.rfind(b"\n", 0, at) + 1]

    @property
    def is_clean(self) -> bool:
        """True if no part of an unfinished answer was received."""
        return not (self._size or self._line or self.error)

    @property
    def partial(self) -> bytes:
        """The received part of an unfinished answer, or the bytes that violate the protocol."""
        return super().partial + (b"" if self.error else b"".join(self._line))

    def _messages(self, data: bytes) -> list[bytes]:
        messages: list[bytes] = []
        if self._line:
            data = self._rejoined(data)
        begin, most = 0, self._max
        while begin < len(data):
            start, stop = self._end_line(data, begin)
            if not stop:
                self._begin(data, begin)
                break
            last = stop - 1 if self._keeps_line else start
            if self._size:
                self._keep(memoryview(data)[begin:last])
                message = self._kept()
            else:
                message = data[begin:last]
            if len(message) > most or stop - 1 - start > most:
                self._refuse(message or data[start:stop])
                break
            messages.append(message)
            begin = stop
        return messages

    def _end_line(self, data: bytes, begin: int) -> tuple[int, int]:
        """Return the beginning and end of the line that ends an answer; (0, 0) if there is none."""
        if not self._at_once:
            return self._end_line_singly(data, begin)
        found = self._find(data, begin)
        if found is None:
            return _NOWHERE
        return data.rfind(b"\n", begin, found.start()) + 1 or begin, found.end()

    def _end_line_singly(self, data: bytes, begin: int) -> tuple[int, int]:
        while stop := data.find(b"\n", begin) + 1:
            if self._search(data[begin : stop - 1]):
                return begin, stop
            begin = stop
        return _NOWHERE

    def _rejoined(self, data: bytes) -> bytes:
        """Return the unfinished line joined with `data`; b"" if it is still unfinished."""
        self._line.append(data)
        self._pending += len(data)
        if b"\n" not in data:
            self._check_unfinished()
            return b""
        return self._whole_line()

    def _whole_line(self) -> bytes:
        line = b"".join(self._line)
        self._line.clear()
        self._pending = 0
        return line

    def _begin(self, data: bytes, begin: int) -> None:
        """Buffer the lines of an unfinished answer, and an unfinished line."""
        line = data.rfind(b"\n", begin) + 1 or begin
        self._keep(memoryview(data)[begin:line])
        if line < len(data):
            self._line.append(data[line:])
            self._pending = len(data) - line
        self._check_unfinished()

    def _check_unfinished(self) -> None:
        size, pending = self._size, self._pending
        if max(size, pending, size + pending if self._keeps_line else 0) > self._max:
            self._refuse(self._kept() + self._whole_line())
