"""The choice of the workers that have a row in the table, and their order.

With more workers than rows, those with failed or long-running items come first. Rows change as
little as possible: one moves only when its worker's item fails or becomes late, and is replaced
only by that of a worker whose item failed or runs long.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from processpool.core.snapshot import WorkerSnapshot

MAX_ROWS = 40
"""The most rows."""

Rank = tuple[bool, bool, float, bool, int]

_number = attrgetter("id")


@dataclass(frozen=True, slots=True)
class Wishes:
    """Which rows the user wants to see."""

    filter: str = "all workers"
    sort: str = "usual order"
    search: str = ""

    def __bool__(self) -> bool:
        return self != USUAL


USUAL = Wishes()
"""No wishes: the rows that are of most interest."""


def chosen(
    workers: Collection[WorkerSnapshot],
    late: Collection[int],
    wishes: Wishes,
    describe: Callable[[WorkerSnapshot], str],
    figures: Mapping[str, Mapping[int, float]],
) -> list[WorkerSnapshot]:
    """Return the workers that somebody wants to see, in the order that they want.

    Args:
        workers: all workers.
        late: the numbers of workers whose item takes unusually long.
        wishes: what they want.
        describe: returns a text for a worker's item.
        figures: by the name of an order, a figure of each worker.
    """
    found = [worker for worker in workers if _is_wanted(worker, late, wishes.filter)]
    text = wishes.search.lower()
    if text:
        found = [worker for worker in found if text in _text(worker, describe)]
    by = wishes.sort.removeprefix("by ")
    keys: dict[str, Callable[[WorkerSnapshot], float]] = {
        "age": lambda worker: worker.item_age or 0.0,
        "ok": lambda worker: worker.ok,
        "failed": lambda worker: worker.failed,
        "worker": lambda worker: -worker.id,
    }
    amounts = figures.get(by, {})
    key = keys.get(by, lambda worker: amounts.get(worker.id, 0.0))
    return sorted(found, key=key, reverse=True)[:MAX_ROWS]


def _is_wanted(worker: WorkerSnapshot, late: Collection[int], which: str) -> bool:
    if which == "late":
        return worker.id in late
    if which == "failed":
        return worker.failed > 0
    return which not in ("busy", "idle") or worker.state._value_ == which


def _text(worker: WorkerSnapshot, describe: Callable[[WorkerSnapshot], str]) -> str:
    return f"{worker.id} {worker.pid} {worker.item} {describe(worker)}".lower()


def choose(
    workers: Collection[WorkerSnapshot],
    late: Collection[int],
    shown: Collection[int],
    long: float = 1.0,
) -> list[WorkerSnapshot]:
    """Return the workers that get a row, in the order of the rows.

    Args:
        workers: all workers.
        late: the numbers of workers whose item takes unusually long.
        shown: the numbers of workers that have a row now; they keep it if all else is equal.
        long: the age of an item, in seconds, from which its worker is preferred.
    """
    if len(workers) > MAX_ROWS:
        workers = _prioritized(workers, late, shown, long)

    def place(worker: WorkerSnapshot) -> tuple[bool, float, int]:
        if worker.failed:
            return False, 0.0, worker.id
        return True, -(worker.item_age or 0.0), worker.id

    usual = [worker for worker in workers if not worker.failed and worker.id not in late]
    notable = [worker for worker in workers if worker.failed or worker.id in late]
    return [*sorted(notable, key=place), *sorted(usual, key=_number)]


def _prioritized(
    workers: Collection[WorkerSnapshot],
    late: Collection[int],
    shown: Collection[int],
    long: float,
) -> list[WorkerSnapshot]:
    """Return the `MAX_ROWS` workers to show: failed, long-running or shown before, then others."""
    known = frozenset(shown)
    special = [
        worker
        for worker in workers
        if worker.failed or worker.id in known or (worker.item_age or 0.0) >= long
    ]
    if len(special) == MAX_ROWS:
        return special
    if len(special) < MAX_ROWS:
        numbers = {worker.id for worker in special}
        others = (worker for worker in workers if worker.id not in numbers)
        return special + list(islice(others, MAX_ROWS - len(special)))

    def rank(worker: WorkerSnapshot) -> Rank:
        age = worker.item_age or 0.0
        running = -age if age >= long else 0.0
        return not worker.failed, worker.id not in late, running, worker.id not in known, worker.id

    return nsmallest(MAX_ROWS, special, key=rank)
