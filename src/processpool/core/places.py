"""The choice of a new worker's place, from 0 to `max` - 1, which users know as its slot.

(A `Slot` of this package is something else: the scheduler's record of a worker.)

Two rules hold here. A replacement gets the place of its predecessor, and any other worker the
lowest free one. And the place of a worker that is stopping or being replaced is free already,
unless places are exclusive, because their values must not be used by two workers at a time.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from collections.abc import Collection

    from processpool.core.slot import Slot

_STOPPING = WorkerState.STOPPING


def next_place(workers: Collection[Slot], most: int, *, exclusive: bool) -> int:
    """Return the place of a worker that is about to be started.

    Args:
        workers: all workers; fewer than `most`, not counting those that are leaving unless
            `exclusive`.
        most: the number of places.
        exclusive: whether a place is only free once the process that had it has ended.
    """
    held = {worker.place for worker in workers if exclusive or not _is_leaving(worker)}
    for worker in workers:
        is_replaced = worker.expiring and worker.state is not _STOPPING
        if is_replaced and worker.place < most and worker.place not in held:
            return worker.place
    return next(place for place in count() if place not in held)


def _is_leaving(worker: Slot) -> bool:
    return worker.expiring or worker.state is _STOPPING
