"""Whose items come first, where there are several priorities: what workers hold is looked at too.

A worker is given items ahead, so some may lie behind a slow one while others of a lower priority
begin elsewhere, or may be in the way of an urgent one. Those that have not begun are recalled then.
Each worker is asked once for the same state of its items; whether it still had any, only asking
tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.commands import MakeWay
from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.core.fleet import Fleet
    from processpool.core.slot import Slot
    from processpool.core.work_queue import WorkQueue


class Precedence:
    """Keeps the order of priorities among workers that hold items they have not begun."""

    def __init__(self, fleet: Fleet, queue: WorkQueue) -> None:
        self._fleet = fleet
        self._queue = queue

    def next_free(self) -> Slot | None:
        """Return the next worker with room, behind whose items the queue's first may wait."""
        first = self._queue.priority
        for slot in self._fleet.has_capacity.values():
            if not any(priority < first for priority in _unbegun(slot)):
                return slot
        return None

    def ahead(self, free: Slot) -> list[MakeWay]:
        """Return how to get an item for a free worker that comes before the queue's first.

        Another worker holds it. Nothing is to be assigned until that was tried.
        """
        first = self._queue.priority
        for slot in self._holding():
            urgent = slot is not free and any(priority > first for priority in _unbegun(slot))
            if urgent and self._ask(slot):
                return [MakeWay(slot.id)]
        return []

    def in_the_way(self) -> list[MakeWay]:
        """Return how to get back the items that are less urgent than the queue's first."""
        first = self._queue.priority
        return [
            MakeWay(slot.id)
            for slot in self._holding()
            if any(priority < first for priority in _unbegun(slot)) and self._ask(slot)
        ]

    def _holding(self) -> list[Slot]:
        if not self._fleet.policy.takes_back:
            return []
        slots = self._fleet.prefetching.values()
        return [slot for slot in slots if slot.load > 1 and slot.state is WorkerState.BUSY]

    def _ask(self, slot: Slot) -> bool:
        """Note that a worker is asked; False if it was asked for the same items before."""
        if slot.asked is slot.inflight[0]:
            return False
        slot.asked = slot.inflight[0]
        return True


def _unbegun(slot: Slot) -> Iterator[int]:
    """The priorities of the items of a worker behind the one that it has begun, if any."""
    for number, batch in enumerate(slot.inflight):
        if number or len(batch) > 1:
            yield batch.job.terms.priority
