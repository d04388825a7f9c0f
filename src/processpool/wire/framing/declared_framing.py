"""The base class of declared framings: requests by a template, and skipped messages."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from processpool.errors import CodecError, ProtocolError, UnexpectedEOF
from processpool.wire.framing.base import MAX_KEPT, Framing

if TYPE_CHECKING:
    from processpool.wire.framing.declaration import Declaration

_MAX_SKIPPED = 100
"""The most skipped messages that are kept for an item's record."""


class DeclaredFraming(Framing):
    """A framing made from a declaration; subclasses find the end of an answer."""

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration.max_message)
        self.exit_message = declaration.exit.encode()
        self._template = declaration.template.encode
        self._refused = None if declaration.refused is None else declaration.refused.search
        if self._refused is None:  # saves a call per item
            self.encode = self._template  # type: ignore[assignment,method-assign]
        self._skip = None if declaration.skipped is None else declaration.skipped.search
        self._skipped: deque[bytes] = deque(maxlen=_MAX_SKIPPED)
        self._size = 0
        """The number of buffered bytes of an unfinished message."""
        self._is_quick = self._skip is None
        """True while the fast path for one whole answer may be tried: there is no `skip`, nothing
        is buffered, and there was no error."""

    def encode(self, payload: bytes) -> tuple[bytes, ...]:
        """Return one request; raise `CodecError` for a message that `refuse` matches."""
        if self._refused is not None:
            found = self._refused(payload)
            if found is not None:
                raise CodecError(
                    f"the message must not hold {found[0]!r}, as it does at byte {found.start()}: "
                    "worker.protocol.refuse forbids it"
                )
        return self._template(payload)

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the answers that they complete, in order."""
        if self.error is not None:
            return []
        messages = self._messages(data)
        if self._skip is not None:
            return self._answers(messages)
        self._is_quick = self.is_clean
        return messages

    @abstractmethod
    def _messages(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the messages that they complete, skipped ones included."""

    def _answers(self, messages: list[bytes]) -> list[bytes]:
        """Return the messages that are answers, and keep the others for the record."""
        answers = []
        for message in messages:
            if self._skip is not None and self._skip(message):
                self._skipped.append(message[:MAX_KEPT])
            else:
                answers.append(message)
        return answers

    def take_skipped(self) -> list[bytes]:
        """Return, and forget, the last 100 messages that were not answers."""
        skipped = list(self._skipped)
        self._skipped.clear()
        return skipped

    def eof(self) -> ProtocolError | None:
        """Return the error if stdout ends here; None between two answers."""
        if self.error is not None:
            return self.error
        if not self.is_clean:
            return UnexpectedEOF(
                f"stdout ended in the middle of an answer, after {len(self.partial)} bytes"
            )
        return None

    @property
    def is_clean(self) -> bool:
        """True if no part of an unfinished answer was received."""
        return not (self._size or self.error)

    def _keep(self, data: bytes | memoryview) -> None:
        """Buffer a part of an unfinished message."""
        self._collect(data)
        self._size += len(data)

    def _kept(self) -> bytes:
        """Return the buffered message, and start a new one."""
        self._size = 0
        return self._collected()

    def _refuse(self, message: bytes) -> None:
        """Set `error`, as a message is over the limit."""
        self._break(f"the answer is longer than max_message ({self._max})", message)
