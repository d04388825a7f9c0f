"""Answers that are complete, as far as is known, and are not handed over yet.

A program may write to its stderr after its answer, and that belongs to the item. And one that has
not proved itself may write more to its stdout, in a moment: then what has come is not the answer.
It is, as soon as the program awaits input again.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.engine.workers.readiness import Probe

if TYPE_CHECKING:
    from processpool.engine.workers.worker import Worker


class Held:
    """The answers of one worker that are held.

    Attributes:
        answers: the answers, not decoded.
        received: how much had come on stderr when they came.
        probe: looks whether the worker awaits input again; None if it has proved itself.
    """

    __slots__ = ("answers", "probe", "received")

    def __init__(self, worker: Worker, answers: list[Any]) -> None:
        self.answers = answers
        self.received = worker.stderr.received
        self.probe = Probe(worker.process, monotonic()) if worker.trial else None

    def is_settled(self, now: float) -> bool:
        """True if nothing more can be expected to belong to them."""
        return self.probe is None or self.probe.is_ready(now)

    @property
    def next_look(self) -> float:
        """When to ask again."""
        return 0.0 if self.probe is None else self.probe.next_at
