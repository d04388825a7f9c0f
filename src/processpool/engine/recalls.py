"""Taking back what a worker has not begun, for somebody who is free to do it.

From a worker whose items are quick it is taken only in a moment, as most likely nothing is left of
it by then; and to ask such a worker keeps whoever asks waiting.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.core.jobs import Batch, Job
    from processpool.engine.core import Core
    from processpool.engine.lock import EngineLock
    from processpool.engine.workers.prefetching import Prefetching
    from processpool.engine.workers.worker import Worker

PATIENCE = 0.002
"""Seconds that a worker with quick items keeps what it has not begun, although another is free."""


def take_back(core: Core, recall: Callable[..., object], number: int, *, read: bool) -> None:
    """Take from a worker what it has not begun; with `read`, at once in any case."""
    worker = core.workers.get(number)
    prefetching = None if worker is None else worker.prefetching
    if worker is None or prefetching is None or read or not prefetching.is_patient:
        recall(number, read=read)
    elif not prefetching.is_looked_at_soon:
        prefetching.is_looked_at_soon = True
        look = partial(_look, core, recall, worker, prefetching)
        core.loop.post(partial(core.loop.later, PATIENCE, look))


def _look(
    core: Core, recall: Callable[..., object], worker: Worker, prefetching: Prefetching
) -> None:
    """If somebody is still free to do what the worker has not begun, take it from there."""
    prefetching.is_looked_at_soon = False
    with core.lock:
        shares = worker.id in core.scheduler.slots and core.scheduler.can_share(worker.id)
    if shares:
        recall(worker.id)


class Queued(Protocol):
    """Work, some of which waits in a queue."""

    lock: EngineLock

    def take_out(self, job: Job) -> list[Batch]:
        """Remove the items of a job that wait."""


def take_out_queued(work: Queued, job: Job) -> bool:
    """Take a job's only item out of the queue; return False if it has begun."""
    with work.lock:
        if not job.begun:
            job.recalled = True
            work.take_out(job)
        return job.recalled
