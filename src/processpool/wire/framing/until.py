"""Framing of answers that end with a text, such as a prompt or the request's mark.

Two rules hold here. The text ends an answer anywhere, even in the middle of a line. And nothing is
searched twice, except for the last received bytes, in which the text may have begun.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from processpool.wire.framing.declared_framing import DeclaredFraming
from processpool.wire.framing.template import around_mark

if TYPE_CHECKING:
    from processpool.wire.framing.declaration import Declaration


class UntilFraming(DeclaredFraming):
    """A framing for answers that end with a text."""

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        rule = declaration.answer
        self._count, self._keeps_end = rule.count, rule.keep
        self._is_simple = rule.count == 1 and not rule.keep
        self._is_quick &= self._is_simple
        end = around_mark(rule.until or "")
        self._end = end if isinstance(end, bytes) else b""
        """The text that ends the current answer; empty while its mark is not known."""
        self._due: deque[tuple[bytes, ...]] = deque()
        """The unanswered requests, if each has its own mark."""
        self._found = 0
        """How many times the text has come in the unfinished answer, of `count` times."""
        self._tail = b""
        """The last received bytes, in which the text may have begun."""
        if not isinstance(end, bytes):
            self.expects = True
            self.expect = self._due.append  # type: ignore[assignment,method-assign]
            self._end_of = declaration.template.end_finder(*end)

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the answers that they complete, in order."""
        if self._is_quick:
            answer = self.whole(data)
            if answer is not None:
                return [answer]
        answers = super().feed(data)
        self._is_quick &= self._is_simple
        return answers

    def whole(self, data: bytes) -> bytes | None:
        """Return the answer if `data` is exactly one; see `Framing.whole`."""
        if not self._is_quick:
            return None
        end = self._end
        if not end:
            if not self._due:
                return None
            end = self._end_of(self._due.popleft())
        at = data.find(end)
        if at >= 0 and at + len(end) == len(data) and at <= self._max:
            if self.expects:
                self._end = b""
            return data[:at]
        self._end = end
        return None

    def _look_up(self) -> bytes:
        """Return the text that ends the current answer; empty if no answer is due."""
        if self._due:
            self._end = self._end_of(self._due.popleft())
        return self._end

    def _messages(self, data: bytes) -> list[bytes]:
        messages: list[bytes] = []
        begin, size = 0, len(data)
        while begin < size:
            end = self._end or self._look_up()
            at = data.find(end, begin) if self._is_simple and not self._size and end else -1
            if at >= 0:
                message = data[begin:at]
                begin = at + len(end)
            else:
                stop = self._stop(data, begin)
                if stop < 0:
                    self._begin(data[begin:])
                    break
                message = self._cut(data, begin, stop)
                begin = stop
            if len(message) > self._max:
                self._refuse(message)
                break
            messages.append(message)
            if self.expects:
                self._end = b""
        return messages

    def _stop(self, data: bytes, begin: int) -> int:
        """Return the index after the text that ends the answer; -1 if that was not received."""
        end, tail = self._end, self._tail
        if not end:
            return -1
        if tail:
            at = (tail + data[: len(end) - 1]).find(end)
            if at >= 0:
                begin, tail = at + len(end) - len(tail), b""
                self._found += 1
        while self._found < self._count:
            at = data.find(end, begin)
            if at < 0:
                seam = len(end) - 1
                rest = data[max(begin, len(data) - seam) :]
                self._tail = (tail + rest)[-seam:] if seam else b""
                return -1
            begin, tail = at + len(end), b""
            self._found += 1
        self._found, self._tail = 0, b""
        return begin

    def _cut(self, data: bytes, begin: int, stop: int) -> bytes:
        """Return the answer that ends at `stop`."""
        last = stop if self._keeps_end else stop - len(self._end)
        if not self._size:
            return data[begin:last]
        if last > 0:
            self._keep(memoryview(data)[:last])
        message = self._kept()
        return message[:last] if last < 0 else message

    def _begin(self, rest: bytes) -> None:
        """Buffer an unfinished answer."""
        self._keep(rest)
        if self._size - len(self._end) >= self._max:
            self._refuse(self._kept())
