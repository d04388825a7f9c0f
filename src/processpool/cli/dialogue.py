"""A program that runs, and the protocol that it is believed to speak."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from processpool.wire.framing.declared import make_framing
from processpool.wire.framing.start import StartDialogue

if TYPE_CHECKING:
    from processpool.cli.session import Heard, Session
    from processpool.wire.framing.declaration import Declaration


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and all that came of it.

    Attributes:
        request: its bytes.
        heard: what came, and what the program did then.
        answers: the answers that this made up; there should be one.
        surplus: what has come of another one.
        broken: what is wrong with what came, if anything is.
        skipped: messages that were no answers.
    """

    request: bytes
    heard: Heard
    answers: list[bytes]
    surplus: bytes
    broken: str
    skipped: list[bytes]

    @property
    def is_right(self) -> bool:
        """True if there was one answer, and nothing else."""
        return len(self.answers) == 1 and not (self.surplus or self.broken)


class Dialogue:
    """Talks to one program as a declaration says."""

    def __init__(self, session: Session, declaration: Declaration) -> None:
        self.session = session
        self.framing = make_framing(declaration)
        self._declaration = declaration

    def begin(self, limit: float) -> tuple[Heard, str]:
        """Say and hear what comes before the first request.

        Returns:
            What came that is no part of it, and what is missing; nothing, if all is well.
        """
        began = monotonic()
        heard, missing = self._begin(limit)
        return replace(heard, seconds=monotonic() - began), missing

    def _begin(self, limit: float) -> tuple[Heard, str]:
        session, start = self.session, StartDialogue(self._declaration)
        session.write(start.begin())
        while not start.is_over:
            heard = session.listen(limit)
            session.write(start.feed(heard.stdout))
            if start.error is not None:
                return heard, str(start.error)
            if not heard.stdout or heard.ended:
                break
        if not start.is_over:
            return heard, start.awaited()
        heard = session.listen(limit)
        return (replace(heard, stdout=b"") if self._declaration.has_start else heard), ""

    def ask(self, payload: bytes, limit: float) -> Asked:
        """Send one request, and listen until the program awaits input again.

        Raises:
            ProtocolError: the message cannot be sent.
        """
        framing, session = self.framing, self.session
        request = framing.encode(payload)
        framing.expect(request)
        data = b"".join(request)
        session.write(data)
        heard = session.listen(limit)
        answers = framing.feed(heard.stdout)
        while framing.asks_back and not answers and heard.stdout and not heard.ended:
            session.write(framing.take_replies())
            more = session.listen(limit)
            answers = framing.feed(more.stdout)
            heard = replace(more, stdout=heard.stdout + more.stdout)
            if not more.stdout:
                break
        broken = f"{framing.error}; {framing.advice}".rstrip("; ") if framing.error else ""
        surplus = b"" if self._declaration.skips or broken else framing.partial
        if not answers:
            surplus = b""
        return Asked(data, heard, answers, surplus, broken, framing.take_skipped())

    def end(self, limit: float) -> str | None:
        """Ask it to exit; how it did, or None if it goes on."""
        self.session.write(self.framing.exit_message)
        self.session.end_input(limit)
        self.session.listen(limit, to_the_end=True)
        return self.session.exit_sentence
