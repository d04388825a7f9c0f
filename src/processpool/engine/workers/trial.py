"""The first answers of a program: each is held until it awaits input again.

A program may answer with more than is declared, and write the rest a moment later. Then that would
be taken for its next answer, and all that follow would belong to others.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from processpool.system.readiness import Probe

if TYPE_CHECKING:
    from processpool.errors import ProtocolError
    from processpool.system.process import Process

TRIAL = 3
"""First answers of a program that are held until it awaits input again."""


class OnTrial(Protocol):
    """What must be known of a worker on trial."""

    process: Process
    ended: bool
    trial: int

    def fault(self) -> ProtocolError | None:
        """What is wrong with what it has written, if anything is."""

    def pump(self, timeout: float | None) -> list[Any]:
        """Wait for it, and return the answers that are complete now."""

    def read_rest(self) -> list[Any]:
        """The answers that can be read now, all of them."""


def settle(worker: OnTrial, deadline: float | None) -> list[Any]:
    """After an answer: wait until the worker awaits input again; what else has come."""
    answers: list[Any] = []
    probe = Probe(worker.process, monotonic())
    while not (worker.ended or worker.fault() or probe.is_ready(now := monotonic())):
        if deadline is not None and now >= deadline:
            break
        until = probe.next_at if deadline is None else min(probe.next_at, deadline)
        answers += worker.pump(max(until - now, 0.0))
    answers += worker.read_rest()
    worker.trial -= 1
    return answers
