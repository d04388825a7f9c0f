"""What passes between the pool and a worker that is out of time, just before it is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.exit_reason import ExitReason
from processpool.system.readiness import reason_of_silence

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.workers.worker import Worker


def say_last_words(worker: Worker | None) -> None:
    """Have it say where it is, or tell it that nobody waits for its answer any more."""
    if worker is not None and not worker.io.is_mine:
        with worker.io:
            if not worker.is_closed:
                worker.protocol.dump_stacks()


def see_last_moments(core: Core, number: int) -> None:
    """Before a worker is killed: if its time is over, see what it does."""
    worker = core.workers.get(number)
    with core.lock:
        slot = core.scheduler.slots.get(number)
    if worker is None or slot is None or slot.exit_reason is not ExitReason.TIMEOUT:
        return
    if not worker.io.is_mine:
        with worker.io:
            note_silence(worker)


def note_silence(worker: Worker) -> None:
    """See what a worker does that has not answered: that may say why."""
    if worker.trial.is_foreign and not worker.is_closed:
        worker.trial.silence = reason_of_silence(worker.process) or ""
