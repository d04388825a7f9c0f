"""A program that has not said that it speaks its protocol: it is judged by what it does.

It may answer with more than is declared, and write the rest a moment later. Then that would be
taken for its next answer, and all that follow would belong to others. So each of its first answers
is held until it awaits input again.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from processpool.system.readiness import Probe

if TYPE_CHECKING:
    from processpool.system.process import Process

TRIAL = 3
"""First answers of a program that are held until it awaits input again."""


class Trial:
    """What has been seen of one worker so far.

    Attributes:
        left: how many of its next answers are to be held.
        is_foreign: it has not said that it speaks its protocol.
        probe: looks whether it awaits input again, while an answer is held.
        silence: why it may have been silent, of one whose time is over.
        unsolicited: what it wrote though nobody had asked, of one that is replaced for that.
    """

    __slots__ = ("is_foreign", "left", "probe", "silence", "unsolicited")

    def __init__(self, answers: int = 0) -> None:
        """Put a worker on trial for so many answers; for none, it is trusted."""
        self.left = answers
        self.is_foreign = answers > 0
        self.probe: Probe | None = None
        self.silence = ""
        self.unsolicited = b""

    def trust(self) -> None:
        """It has said that it is ready, and so speaks the protocol."""
        self.left = 0
        self.is_foreign = False

    def hold(self, process: Process) -> None:
        """An answer is held: look from now on whether it awaits input again."""
        self.probe = Probe(process, monotonic()) if self.left else None

    def wait(self) -> float:
        """Seconds until the next look; 0 if it awaits input again, or is not on trial."""
        if self.probe is None:
            return 0.0
        now = monotonic()
        return 0.0 if self.probe.is_ready(now) else max(self.probe.next_at - now, 0.0001)

    def passed(self) -> None:
        """An answer is not held any more."""
        self.probe = None
        self.left = max(self.left - 1, 0)
