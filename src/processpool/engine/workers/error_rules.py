"""Which answers of a program are errors, as its protocol declares them.

One rule holds here: an answer is looked at when it is complete, with the stderr that has come since
its request was written. So a program whose answers end with a mark is never misjudged: it writes
its error first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.errors import AnswerError, CodecError
from processpool.system.text import escape_control

if TYPE_CHECKING:
    from processpool.engine.workers.stderr import StderrLog
    from processpool.wire.codecs import Codec
    from processpool.wire.framing.declaration import Declaration

_SHOWN = 300
"""Characters of a program's error that its message quotes."""


class ErrorRules:
    """Judges the answers of one worker."""

    def __init__(self, protocol: Declaration, codec: Codec, stderr: StderrLog) -> None:
        self._answer = protocol.error_pattern
        self._stderr_pattern = protocol.error_stderr_pattern
        self._replaces = protocol.after_error == "replace"
        self._decode = codec.decode
        self._stderr = stderr
        self._received = 0
        self.spent = False
        """True once an error has come after which the worker is to be replaced."""

    def begin(self) -> None:
        """A request is about to be written: what has come on stderr is not its own."""
        self.look()
        self._received = self._stderr.received

    def look(self) -> None:
        """Read what stderr holds, where that may make an answer an error."""
        if self._stderr_pattern is not None and not self._stderr.ended:
            self._stderr.read()

    def error_of(self, answer: bytes) -> AnswerError | None:
        """The error that an answer is; None if it is none."""
        text = self._error_text(answer)
        if text is None:
            return None
        shown = escape_control(text.decode("utf-8", "replace")).strip()
        if len(shown) > _SHOWN:
            shown = f"{shown[:_SHOWN]}..."
        error = AnswerError(f"the program answered with an error: {shown}")
        error.value = self._value_of(answer)
        self.spent = self._replaces
        return error

    def _error_text(self, answer: bytes) -> bytes | None:
        """What says the error: the answer from where it is found, or stderr likewise."""
        if self._answer is not None:
            found = self._answer.search(answer)
            if found is not None:
                return answer[answer.rfind(b"\n", 0, found.start()) + 1 :]
        if self._stderr_pattern is not None:
            self.look()
            written = self._stderr.since(self._received)
            found = self._stderr_pattern.search(written)
            if found is not None:
                return written[written.rfind(b"\n", 0, found.start()) + 1 :]
        return None

    def _value_of(self, answer: bytes) -> Any:
        try:
            return self._decode(answer)
        except CodecError:
            return answer
