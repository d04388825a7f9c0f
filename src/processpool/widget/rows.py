"""Which workers have a row, and in which order.

With more workers than rows, those that failed and those whose item runs long win. The order is kept
as calm as can be: a row moves only when a worker fails, or its item becomes late, and it goes only
for one that runs longer than is usual.
"""

from __future__ import annotations

from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from processpool.core.snapshot import WorkerSnapshot

MAX_ROWS = 40
"""Workers that have a row."""

Rank = tuple[bool, bool, float, bool, int]


def choose(
    workers: Collection[WorkerSnapshot],
    late: Collection[int],
    shown: Collection[int],
    long: float = 1.0,
) -> list[WorkerSnapshot]:
    """The workers that have a row, in their order.

    Args:
        workers: all of them.
        late: the numbers of those whose item takes unusually long.
        shown: the numbers of those that have a row now, and keep it if all else is equal.
        long: the seconds from which on the age of an item decides who has a row.
    """
    if len(workers) > MAX_ROWS:
        workers = _most_wanted(workers, late, shown, long)

    def place(worker: WorkerSnapshot) -> tuple[int, float, int]:
        if worker.failed:
            return 0, 0.0, worker.id
        if worker.id in late:
            return 1, -(worker.item_age or 0.0), worker.id
        return 2, 0.0, worker.id

    return sorted(workers, key=place)


def _most_wanted(
    workers: Collection[WorkerSnapshot],
    late: Collection[int],
    shown: Collection[int],
    long: float,
) -> list[WorkerSnapshot]:
    """Those that are special in some way, and as many others as there is room for."""
    known = frozenset(shown)
    special = [
        worker
        for worker in workers
        if worker.failed or worker.id in known or (worker.item_age or 0.0) >= long
    ]
    if len(special) <= MAX_ROWS:
        numbers = {worker.id for worker in special}
        others = (worker for worker in workers if worker.id not in numbers)
        return special + list(islice(others, MAX_ROWS - len(special)))

    def rank(worker: WorkerSnapshot) -> Rank:
        age = worker.item_age or 0.0
        running = -age if age >= long else 0.0
        return not worker.failed, worker.id not in late, running, worker.id not in known, worker.id

    return nsmallest(MAX_ROWS, special, key=rank)
