"""When something is due: one timer for each worker, which means what the worker's state says.

A timer that is postponed stays where it is in the heap, and is set again when it goes off. This
costs nothing while items are fast, when a timer is postponed thousands of times before it goes off.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from processpool.core.slot import Slot


class Deadlines:
    """The timers of all workers."""

    def __init__(self, slots: Mapping[int, Slot]) -> None:
        self._slots = slots
        self._timers: list[tuple[float, int]] = []

    def __iter__(self) -> Iterator[tuple[float, int]]:
        """Iterate over the timers: when to look at which worker, in no order."""
        return iter(self._timers)

    @property
    def next_at(self) -> float | None:
        """When to look next; there may be nothing due then."""
        return self._timers[0][0] if self._timers else None

    def set(self, slot: Slot, when: float) -> None:
        """Set the one timer of this worker."""
        slot.deadline = when
        if slot.timer is None or when < slot.timer:
            slot.timer = when
            heapq.heappush(self._timers, (when, slot.id))

    def pop_due(self, now: float) -> Iterator[Slot]:
        """Yield the workers whose time is over, with their deadlines cleared."""
        timers = self._timers
        while timers and timers[0][0] <= now:
            when, number = heapq.heappop(timers)
            slot = self._slots.get(number)
            if slot is None or slot.timer != when:
                continue
            slot.timer = None
            if slot.deadline is None:
                continue
            if slot.deadline > now:
                self.set(slot, slot.deadline)
            else:
                slot.deadline = None
                yield slot
