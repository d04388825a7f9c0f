"""Framing of JSON-RPC 2.0: the pool gives requests ids, and matches answers by them.

Three rules hold here. Answers may arrive in any order; they are returned in the order of the
requests, as by every framing. Notifications of the server are skipped, and its requests are
answered with "method not found", by `take_replies`. And answers to unknown ids, such as late ones,
are skipped too, as is a second answer to the same request.
"""

from __future__ import annotations

import json
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from processpool.wire.framing.base import MAX_KEPT, Framing
from processpool.wire.framing.declaration import AnswerRule, Declaration
from processpool.wire.framing.lengths import LengthFraming
from processpool.wire.framing.lines import LinesFraming

if TYPE_CHECKING:
    from processpool.errors import ProtocolError

NOT_FOUND = -32601
LSP_CANCEL = "$/cancelRequest"
MCP_CANCEL = "notifications/cancelled"
"""The notifications by which language servers and MCP servers are told to give up a request."""
_MAX_SKIPPED = 100
"""The most skipped messages that are kept for an item's record."""
_ID = b'"id":'
_ID_WITHIN = 200
"""The number of bytes at the beginning of a request that contain its id."""

Over = Literal["lines", "content-length"]


class JsonRpcFraming(Framing):
    """A framing for JSON-RPC, delimited by lines or by a Content-Length header.

    Args:
        over: how messages are delimited.
        max_message: the most bytes of a message.
        cancel: the notification by which a request is cancelled; empty for none.
    """

    expects = True
    asks_back = True

    def __init__(self, over: Over, max_message: int, cancel: str = "") -> None:
        super().__init__(max_message)
        self._cancel = cancel
        self._is_cancelled = False
        self._messages = _delimited(over, max_message)
        self._ids = count(1)
        self._due: deque[int] = deque()
        """The ids of unanswered requests, in order."""
        self._early: dict[int, bytes] = {}
        """Answers that arrived before those of earlier requests, by id."""
        self._skipped: deque[bytes] = deque(maxlen=_MAX_SKIPPED)
        self._replies: list[bytes] = []

    def encode(self, payload: bytes) -> tuple[bytes, ...]:
        """Return a request; the payload is a JSON object with `method` and optional `params`."""
        return self._messages.encode(b'{"jsonrpc":"2.0","id":%d,' % next(self._ids) + payload[1:])

    def notification(self, method: str, params: Any) -> bytes:
        """Return the bytes of a notification, which has no answer."""
        return self._message({"jsonrpc": "2.0", "method": method, "params": params})

    def expect(self, request: tuple[bytes, ...]) -> None:
        """Note the id of a request that is about to be written, as its answer is due next."""
        self._due.append(id_of(request))

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the answers that are due, as whole messages."""
        for message in self._messages.feed(data):
            self._sort(message)
        if self.error is None:
            self.error = self._messages.error
        answers: list[bytes] = []
        if self._is_cancelled:
            return answers
        while self._due and self._due[0] in self._early:
            answers.append(self._early.pop(self._due.popleft()))
        return answers

    def take_skipped(self) -> list[bytes]:
        """Return, and forget, the last 100 messages that were not answers."""
        skipped = list(self._skipped)
        self._skipped.clear()
        return skipped

    def take_replies(self) -> bytes:
        """Return, and forget, the replies that must be written to the server's own requests."""
        replies = b"".join(self._replies)
        self._replies.clear()
        return replies

    def take_cancellation(self) -> bytes:
        """Return the notifications that cancel what is not answered; then no answer comes."""
        if not self._cancel or self._is_cancelled or not self._due:
            return b""
        self._is_cancelled = True
        told = (self.notification(self._cancel, self._cancelled(number)) for number in self._due)
        return b"".join(told)

    def _cancelled(self, number: int) -> dict[str, Any]:
        if self._cancel == MCP_CANCEL:
            return {"requestId": number, "reason": "it took longer than its time limit"}
        return {"id": number}

    def eof(self) -> ProtocolError | None:
        """Return the error if stdout ends here; None between two messages."""
        return self.error or self._messages.eof()

    @property
    def is_clean(self) -> bool:
        """True if no part of an unfinished answer, and no early answer, was received."""
        return self._messages.is_clean and not self._early and self.error is None

    @property
    def partial(self) -> bytes:
        """The received part of an unfinished message, or the bytes that violate the protocol."""
        return self._broken if self._broken else self._messages.partial

    def _sort(self, message: bytes) -> None:
        """Store a message: as an answer, as skipped, or as a request with its reply."""
        try:
            found = json.loads(message)
        except (ValueError, RecursionError):
            found = None
        if self.error is not None:
            return
        if not isinstance(found, dict):
            self._break("a message must be an object of JSON-RPC, got", message)
        elif "method" in found:
            self._skipped.append(message[:MAX_KEPT])
            if found.get("id") is not None:
                error = {"code": NOT_FOUND, "message": f"no such method: {found['method']}"}
                reply = {"jsonrpc": "2.0", "id": found["id"], "error": error}
                self._replies.append(self._message(reply))
        elif "result" not in found and "error" not in found:
            self._break("a message must have a method, a result or an error, got", message)
        else:
            number = self._answered_by(found)
            if number is None or number in self._early:
                self._skipped.append(message[:MAX_KEPT])
            else:
                self._early[number] = message

    def _answered_by(self, found: dict[str, Any]) -> int | None:
        """Return the id of the request that a message answers; None if it answers none."""
        number: Any = found.get("id")
        if number is None and found.get("error") is not None and len(self._due) == 1:
            return self._due[0]  # the server could not read the request, nor its id
        if isinstance(number, bool) or number not in self._due:
            return None
        return int(number)  # some write 1.0

    def _message(self, value: dict[str, Any]) -> bytes:
        return b"".join(self._messages.encode(json.dumps(value, separators=(",", ":")).encode()))


def id_of(request: tuple[bytes, ...]) -> int:
    """Return the id that `encode` gave to a request."""
    begin = b"".join(buffer[:_ID_WITHIN] for buffer in request)
    at = begin.index(_ID) + len(_ID)
    return int(begin[at : begin.index(b",", at)])


def _delimited(over: Over, most: int) -> Framing:
    """Return the framing that delimits messages."""
    if over == "lines":
        return LinesFraming(most)
    return LengthFraming(
        Declaration(
            request="Content-Length: {length}\r\n\r\n{message}",
            refuse=None,
            answer=AnswerRule(length="content-length"),
            max_message=most,
        )
    )
