"""The start dialogue between a program's start and its first request, without I/O.

Two rules hold here. Steps are taken in order, each in time proportional to the bytes. And bytes
received together with the end of the last step are part of the start, and are dropped.
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

_MAX_SHOWN = 200
"""The most bytes of a program's output that an error shows."""


class StartDialogue:
    """The start dialogue of one worker: received bytes go in, bytes to write come out."""

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        self._steps = [*_handshake(declaration), *declaration.start]
        self._taken = 0
        self._asked: Framing | None = None
        self._seen = b""
        """The end of the bytes received in this step, in which the expected text may begin."""
        self._replies = b""
        """The replies to write to the program's own requests."""
        self._last = b""
        """The last bytes received, for errors."""
        self.error: ProtocolError | None = None
        """Set once an answer violates the protocol; the worker cannot be used."""

    @property
    def is_over(self) -> bool:
        """True once all steps are done."""
        return self._taken == len(self._steps)

    def begin(self) -> bytes:
        """Return the bytes to write first."""
        return self._write_on()

    def feed(self, data: bytes) -> bytes:
        """Take received bytes; return the bytes to write now."""
        self._last = (self._last + data)[-_MAX_SHOWN:]
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
            data = rest if self._asked is asked else b""  # received before the request was sent
        return written

    def awaited(self) -> str:
        """Return a description, for errors, of what is awaited and what was received instead."""
        if self.is_over:
            return ""
        step = self._steps[self._taken]
        what = f"waits for {step.text!r}" if step.verb == "expect" else f"asked {step.text!r}"
        came = (
            f", the last it wrote is {self._last!r}" if self._last else ", it has written nothing"
        )
        return f"step {self._taken + 1} of worker.protocol.start {what}{came}"

    def _take(self, data: bytes) -> bytes | None:
        """Return the bytes left over when the current step is done; None if it is not."""
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
        """Do the steps up to the next one that waits; return the bytes to write for all of them."""
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
    """Return the steps of the JSON-RPC handshake, if there is one."""
    rpc = declaration.rpc
    if rpc is None or rpc.initialize is None:
        return []
    framing = JsonRpcFraming(rpc.over, declaration.max_message)
    return [
        Step("ask", f'{{"method":"initialize","params":{rpc.initialize}}}'),
        Step("send", framing.notification(rpc.initialized, {}).decode()),
    ]
