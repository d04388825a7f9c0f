"""What passes between the pool and a worker that is out of time, just before it is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.exit_reason import ExitReason

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.workers.worker import Worker


def say_last_words(worker: Worker | None) -> None:
    """Have it say where it is, or tell it that nobody waits for its answer any more."""
    if worker is not None and not worker.io.is_mine:
        with worker.io:
            if not worker.closed:
                worker.dump_stacks()


def note_silence(core: Core, number: int) -> None:
    """See what it does: that may say why it has not answered."""
    worker = core.workers.get(number)
    with core.lock:
        slot = core.scheduler.slots.get(number)
    if worker is None or slot is None or slot.exit_reason is not ExitReason.TIMEOUT:
        return
    if not worker.io.is_mine:
        with worker.io:
            worker.note_silence()
