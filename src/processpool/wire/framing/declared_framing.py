"""What all declared framings have in common: requests by a template, and messages to be skipped."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from processpool.errors import CodecError, ProtocolError, UnexpectedEOF
from processpool.wire.framing.base import KEPT, Framing

if TYPE_CHECKING:
    from processpool.wire.framing.declaration import Declaration

_SKIPPED = 100
"""Skipped messages that are kept for an item's record, at most."""


class DeclaredFraming(Framing):
    """A framing made from a declaration; subclasses know how an answer ends."""

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration.max_message)
        self.exit_message = declaration.exit.encode()
        self._template = declaration.template.encode
        self._refused = None if declaration.refused is None else declaration.refused.search
        if self._refused is None:  # one call less for every item
            self.encode = self._template  # type: ignore[assignment,method-assign]
        self._skip = None if declaration.skipped is None else declaration.skipped.search
        self._skipped: deque[bytes] = deque(maxlen=_SKIPPED)
        self._size = 0
        """Bytes of an unfinished message that have been collected."""
        self._is_quick = self._skip is None
        """True while the next bytes may be looked at as if they were one whole answer: there is
        nothing to skip, nothing has been collected, and nothing is wrong."""

    def encode(self, payload: bytes) -> tuple[bytes, ...]:
        """Return one request; raise `CodecError` for a message that must not be sent."""
        if self._refused is not None:
            found = self._refused(payload)
            if found is not None:
                raise CodecError(
                    f"the message must not hold {found[0]!r}, as it does at byte {found.start()}: "
                    "worker.protocol.refuse forbids it"
                )
        return self._template(payload)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the answers that it completes, in order."""
        if self.error is not None:
            return []
        messages = self._messages(data)
        if self._skip is not None:
            return self._answers(messages)
        self._is_quick = self.is_clean
        return messages

    @abstractmethod
    def _messages(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the messages that it completes."""

    def _answers(self, messages: list[bytes]) -> list[bytes]:
        """Return those that are answers; the others are kept for the record."""
        answers = []
        for message in messages:
            if self._skip is not None and self._skip(message):
                self._skipped.append(message[:KEPT])
            else:
                answers.append(message)
        return answers

    def take_skipped(self) -> list[bytes]:
        """Return the last 100 messages that came and were not answers."""
        skipped = list(self._skipped)
        self._skipped.clear()
        return skipped

    def eof(self) -> ProtocolError | None:
        """Return what is wrong if stdout ends here; None between two answers."""
        if self.error is not None:
            return self.error
        if not self.is_clean:
            return UnexpectedEOF(
                f"stdout ended in the middle of an answer, after {len(self.partial)} bytes"
            )
        return None

    @property
    def is_clean(self) -> bool:
        """True if nothing of an unfinished answer has arrived."""
        return not (self._size or self.error)

    def _keep(self, data: bytes | memoryview) -> None:
        """Collect what belongs to an unfinished message."""
        self._collect(data)
        self._size += len(data)

    def _kept(self) -> bytes:
        """Return what was collected, and start over."""
        self._size = 0
        return self._collected()

    def _refuse(self, message: bytes) -> None:
        """Break: a message is over the limit."""
        self._break(f"the answer is longer than max_message ({self._max})", message)
