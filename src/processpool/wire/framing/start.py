"""What happens between a program's start and its first request, as an object without I/O.

Two rules hold here. Steps are taken in order, and each takes time in proportion to the bytes. And
what came in the same read as the end of the last step belongs to the start, and is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.wire.framing.declaration import Step
from processpool.wire.framing.declared import make_framing
from processpool.wire.framing.jsonrpc import JsonRpcFraming

if TYPE_CHECKING:
    from processpool.errors import ProtocolError
    from processpool.wire.framing.base import Framing
    from processpool.wire.framing.declaration import Declaration

_SHOWN = 200
"""Bytes of what a program has written that an error shows, at most."""


class StartDialogue:
    """The start of one worker: arriving bytes go in, bytes to be written come out."""

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        self._steps = [*_handshake(declaration), *declaration.start]
        self._taken = 0
        self._asked: Framing | None = None
        self._seen = b""
        """What came since the last step was taken; of more, the end, where its text may begin."""
        self._replies = b""
        """What is to be written to a program that asked something itself."""
        self._last = b""
        """The last that came, to be shown."""
        self.error: ProtocolError | None = None
        """Set once an answer breaks the rules: the worker is of no use."""

    @property
    def is_over(self) -> bool:
        """True once every step is taken."""
        return self._taken == len(self._steps)

    def begin(self) -> bytes:
        """Return what is to be written first."""
        return self._write_on()

    def feed(self, data: bytes) -> bytes:
        """Take what arrived; return what is to be written now."""
        self._last = (self._last + data)[-_SHOWN:]
        written = b""
        while data and not self.is_over and self.error is None:
            rest = self._take(data)
            written += self._replies
            self._replies = b""
            if rest is None:
                break
            self._taken += 1
            asked = self._asked
            written += self._write_on()
            data = rest if self._asked is asked else b""  # it came before it was asked for
        return written

    def awaited(self) -> str:
        """Return a text that says what has not come yet, and what came instead."""
        if self.is_over:
            return ""
        step = self._steps[self._taken]
        what = f"waits for {step.text!r}" if step.verb == "expect" else f"asked {step.text!r}"
        came = (
            f", the last it wrote is {self._last!r}" if self._last else ", it has written nothing"
        )
        return f"step {self._taken + 1} of worker.protocol.start {what}{came}"

    def _take(self, data: bytes) -> bytes | None:
        """Return what is left when the step is done; None if it needs more."""
        step = self._steps[self._taken]
        return self._expect(step, data) if step.verb == "expect" else self._answer(data)

    def _expect(self, step: Step, data: bytes) -> bytes | None:
        text = step.text.encode()
        seen = self._seen + data
        at = seen.find(text)
        self._seen = seen[max(len(seen) - len(text) + 1, 0) :] if at < 0 else b""
        return None if at < 0 else seen[at + len(text) :]

    def _answer(self, data: bytes) -> bytes | None:
        assert self._asked is not None
        answers = self._asked.feed(data)
        self._replies += self._asked.take_replies()
        self.error = self._asked.error
        return self._asked.partial if answers else None

    def _write_on(self) -> bytes:
        """Take the steps that only write; return what they and the one behind them write."""
        written = b""
        while not self.is_over:
            step = self._steps[self._taken]
            if step.verb == "ask":
                return written + self._ask(step.text)
            if step.verb == "expect":
                break
            written += step.text.encode()
            self._taken += 1
        return written

    def _ask(self, text: str) -> bytes:
        self._asked = make_framing(self._declaration)
        request = self._asked.encode(text.encode())
        self._asked.expect(request)
        return b"".join(request)


def _handshake(declaration: Declaration) -> list[Step]:
    """The steps by which JSON-RPC begins, where it begins with any."""
    rpc = declaration.rpc
    if rpc is None or rpc.initialize is None:
        return []
    framing = JsonRpcFraming(rpc.over, declaration.max_message)
    return [
        Step("ask", f'{{"method":"initialize","params":{rpc.initialize}}}'),
        Step("send", framing.notification(rpc.initialized, {}).decode()),
    ]
