"""Answers that are complete, as far as is known, and are not handed over yet.

A program may write to its stderr after its answer, and that belongs to the item. And one that has
not proved itself may write more to its stdout, in a moment: then what has come is not the answer.
It is, as soon as the program awaits input again.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.engine.workers.worker import LATE_PAUSE, LINGER
from processpool.system.readiness import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.core import Core
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


class Holding:
    """The answers that one engine holds; used on the thread that leads."""

    def __init__(self, core: Core, complete: Callable[[Worker, list[Any]], None]) -> None:
        """`complete` takes the answers of a worker that are not held any more."""
        self.held: dict[int, Held] = {}
        """Worker → its answers."""
        self._core = core
        self._complete = complete

    def hold(self, worker: Worker, answers: list[Any]) -> None:
        """Hold these answers for a while."""
        held = self.held[worker.id] = Held(worker, answers)
        self._core.loop.later(LINGER, partial(self._look_at, worker, held))

    def on_stderr(self, worker: Worker) -> None:
        """A worker has written to its stderr: in a moment all of that is there."""
        held = self.held.get(worker.id)
        if held is not None and held.probe is None:
            self._core.loop.later(LATE_PAUSE, partial(self._look_at, worker, held))

    def take(self, worker: Worker) -> list[Any]:
        """The answers of a worker that are held, which from now on they are not."""
        held = self.held.pop(worker.id, None)
        if held is None:
            return []
        with worker.io:
            worker.stderr.read()
        if self._core.scheduler.policy.window == 1:
            worker.lingered(late=worker.stderr.received > held.received)
        if worker.trial:
            worker.trial -= 1
        return held.answers

    def _look_at(self, worker: Worker, held: Held) -> None:
        """Late stderr was awaited long enough, or has come; does it await input again, on trial?"""
        if self.held.get(worker.id) is not held:
            return
        now = monotonic()
        with worker.io:
            settled = worker.closed or worker.ended or held.is_settled(now)
            more = worker.read_rest() if settled and worker.trial and not worker.closed else []
        if settled:
            self._complete(worker, self.take(worker) + more)
        else:
            again = partial(self._look_at, worker, held)
            self._core.loop.later(max(held.next_look - now, 0.0), again)
