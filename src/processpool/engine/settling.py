"""A worker on trial that is lent: its answer is held until it awaits input again."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from processpool.engine.workers.worker import Worker


def settle(worker: Worker, deadline: float | None) -> list[Any]:
    """Of a worker that is lent and has answered: wait until it awaits input again.

    Returns:
        the answers that came meanwhile; there should be none.
    """
    trial, protocol = worker.trial, worker.protocol
    answers: list[Any] = []
    trial.hold(worker.process)
    while not worker.has_ended and protocol.fault() is None and (left := trial.wait()):
        if deadline is not None:
            left = min(left, deadline - monotonic())
            if left <= 0:
                break
        answers += worker.pump(left)
    trial.passed()
    return answers + protocol.receive_all()
