"""Whose stderr it is, of a worker under `serve` that has several requests.

Two things tell. Behind what a request has written the worker puts a mark, unless all of it was read
before the request ended. And whenever something is read, it is known which request had begun by
then. So what is followed by a mark belongs to that request; what is not, to the one that ran.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.wire.served import MARK

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT = 1024 * 1024
"""Bytes kept of what one request has written."""
_DIGITS = 20


class Shares:
    """Divides what one worker writes to its stderr between its requests. No I/O."""

    def __init__(self, token: bytes, begun: Callable[[], int]) -> None:
        """`begun` tells the last request that has begun."""
        self.begun = begun
        self._mark = MARK % token
        self._held = b""
        """What may be the beginning of a mark."""
        self._last = 0
        """The request that the last mark was for."""
        self.texts: dict[int, bytearray] = {}
        """What requests have written, and was not taken yet, by their numbers."""

    def feed(self, data: bytes, begun: int) -> bytes:
        """Take what was read while this request had begun; return it without the marks."""
        data, self._held = self._held + data, b""
        clean = []
        while True:
            found = data.find(self._mark)
            if found < 0:
                break
            number, end = _number(data, found + len(self._mark))
            if end < 0:
                break  # the rest of it is to come
            clean.append(data[:found])
            self._add(number, data[:found])
            self._last = number
            data = data[end:]
        begin = found if found >= 0 else _overlap(data, self._mark)
        data, self._held = data[:begin], data[begin:]
        self._add(max(begun, self._last + 1), data)
        return b"".join([*clean, data])

    def take(self, number: int) -> str:
        """Return what this request has written, when it is answered; earlier ones are forgotten."""
        text = self.texts.pop(number, b"")
        self.forget(number)
        return bytes(text).decode("utf-8", "replace")

    def forget(self, number: int) -> None:
        """Forget what requests up to this one have written: it was taken in another way."""
        for earlier in [earlier for earlier in self.texts if earlier <= number]:
            del self.texts[earlier]

    def _add(self, number: int, data: bytes) -> None:
        if data:
            text = self.texts.setdefault(number, bytearray())
            text += data
            del text[: max(len(text) - KEPT, 0)]


def _number(data: bytes, begin: int) -> tuple[int, int]:
    """The number behind a mark, and where it ends; -1 if the end is not there yet."""
    end = data.find(b"\n", begin, begin + _DIGITS + 1)
    if end < 0:
        return 0, -1 if len(data) <= begin + _DIGITS else begin
    digits = data[begin:end]
    return (int(digits), end + 1) if digits.isdigit() else (0, begin)


def _overlap(data: bytes, mark: bytes) -> int:
    """Where a mark may begin at the end of the data; its length if none does."""
    begin = data.rfind(mark[:1])
    if begin >= 0 and len(data) - begin < len(mark) and mark.startswith(data[begin:]):
        return begin
    return len(data)
