"""Which request a program's late stderr belongs to.

A program may write to stderr just after its answer. Whether it does is learnt from its first
answers: each is held for a moment, until its stderr has come, or none has. A worker that says
itself where its requests end is believed.
"""

from __future__ import annotations

import select
from enum import StrEnum
from time import sleep
from typing import TYPE_CHECKING, Any

from processpool.core.machine import Machine

if TYPE_CHECKING:
    from processpool.engine.workers.stderr import StderrLog

LINGER = 0.002
"""Seconds that stderr is awaited after the answer of a program that may write it late."""
LATE_PAUSE = 0.0003
"""Seconds after the first late stderr until the rest of it is taken to be there."""
TRIALS = 3
"""Answers without late stderr after which none is expected any more."""


class Lateness(StrEnum):
    """Whether a worker writes to stderr after its answers."""

    UNKNOWN = "not known yet"
    PROMPT = "prompt"
    """It does not: its stderr is there when the answer is."""
    LATE = "late"
    """It does, so that it is awaited with every answer."""


class LatenessEvent(StrEnum):
    """What shows it."""

    PROVED = "proved prompt"
    CAUGHT = "caught being late"


_S, _E = Lateness, LatenessEvent
LATENESS: dict[tuple[Lateness, LatenessEvent], Lateness] = {
    (_S.UNKNOWN, _E.PROVED): _S.PROMPT,
    (_S.UNKNOWN, _E.CAUGHT): _S.LATE,
    (_S.PROMPT, _E.PROVED): _S.PROMPT,
    (_S.LATE, _E.PROVED): _S.PROMPT,
    (_S.LATE, _E.CAUGHT): _S.LATE,
}
"""State and event → next state."""


class Attribution(Machine[Lateness, LatenessEvent]):
    """Attributes the stderr of one worker to its requests."""

    __slots__ = ("_log", "_trials", "held", "is_unheard")

    def __init__(self, log: StderrLog, state: Lateness = Lateness.UNKNOWN) -> None:
        super().__init__("a worker's stderr", LATENESS, state)
        self._log = log
        self._trials = TRIALS
        self.held: tuple[list[Any], int] | None = None
        """Answers for which late stderr is awaited, and how much had come before."""
        self.is_unheard = False
        """True if it wrote to stderr while it was lent, and nobody may have read all of it."""

    def hold(self, answers: list[Any]) -> None:
        """Keep answers until their stderr is there."""
        self.held = answers, self._log.received

    def release(self, *, learns: bool = True) -> list[Any]:
        """The answers that were held; what has come since then is theirs.

        Args:
            learns: that shows something, as there are no other requests that it may belong to.
        """
        if self.held is None:
            return []
        (answers, before), self.held = self.held, None
        self._log.read()
        if learns:
            self._learn(before)
        return answers

    def linger(self) -> None:
        """Wait a moment for what the program may write after its answer."""
        before = self._log.received
        if not self._log.ended:
            poller = select.poll()
            poller.register(self._log.fd, select.POLLIN)
            if poller.poll(LINGER * 1000):
                sleep(LATE_PAUSE)
            self._log.read()
        self._learn(before)

    def caught(self) -> None:
        """It wrote between two requests: that was late."""
        if self.state is not Lateness.PROMPT:
            self.on(LatenessEvent.CAUGHT)

    def _learn(self, before: int) -> None:
        """Of so much that had come with the last answer: has there been more?"""
        if self._log.received > before:
            self.on(LatenessEvent.CAUGHT)
        elif self.state is Lateness.UNKNOWN:
            self._trials -= 1
            if not self._trials:
                self.on(LatenessEvent.PROVED)
