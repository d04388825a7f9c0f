"""Answers that end with a line in which a regular expression is found.

Two rules hold here. A line is looked at once, when it is complete: no pattern is tried on a line
that may go on. And if the pattern cannot match across a newline, which its parser knows, all lines
that have come are searched at once, which costs as much as searching one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.wire.framing.declared_framing import DeclaredFraming
from processpool.wire.framing.regex import whole_line

if TYPE_CHECKING:
    from processpool.wire.framing.declaration import Declaration

_NOWHERE = 0, 0


class UntilLineFraming(DeclaredFraming):
    """Turns bytes as they arrive into answers, each ended by a line that matches."""

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
        """Pieces of a line whose end has not arrived; the lines before it are in the body."""
        self._pending = 0
        """Bytes in these."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the answers that it completes, in order."""
        if self._is_quick:
            answer = self._only(data)
            if answer is not None:
                return [answer]
        answers = super().feed(data)
        self._is_quick &= self._at_once
        return answers

    def whole(self, data: bytes) -> bytes | None:
        """The answer, if these bytes are exactly one; see `Framing.whole`."""
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
        """True if nothing of an unfinished answer has arrived."""
        return not (self._size or self._line or self.error)

    @property
    def partial(self) -> bytes:
        """What has arrived of an unfinished answer, or what broke the rules: the first 64 KiB."""
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
        """Return the beginning and end of the line that ends an answer; (0, 0) if it must come."""
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
        """Return the line that had begun with what has come now; b"" if it has not ended yet."""
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
        """Collect lines that do not end their answer, and a line that has not ended."""
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
