"""Which of the pool's slots a new worker has: what users know as its slot, 0 to `max` - 1.

Two rules hold here. A successor has the slot of its predecessor, any other worker the lowest that
is free. And a worker that is on its way out has given its slot away already, unless what belongs to
a slot must not be used by two workers at a time.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from collections.abc import Collection

    from processpool.core.slot import Slot


def next_place(workers: Collection[Slot], most: int, *, exclusive: bool) -> int:
    """The slot of a worker that is about to be started.

    Args:
        workers: those that there are; with `exclusive` fewer than `most`, otherwise so many of them
            may be on their way out besides.
        most: how many slots the pool has.
        exclusive: whether a slot is free only when the process that had it is gone.
    """
    held = {worker.place for worker in workers if exclusive or not _is_leaving(worker)}
    for worker in workers:
        is_replaced = worker.expiring and worker.state is not WorkerState.STOPPING
        if is_replaced and worker.place < most and worker.place not in held:
            return worker.place
    return next(place for place in count() if place not in held)


def _is_leaving(worker: Slot) -> bool:
    """True if a worker does not count against `max` any more."""
    return worker.expiring or worker.state is WorkerState.STOPPING
