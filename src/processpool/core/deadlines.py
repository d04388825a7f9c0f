"""Timers: one for each worker, whose meaning depends on the worker's state.

A timer that is postponed keeps its place in the heap, and is set again when it expires. So
postponing costs nothing, although fast items postpone a timer thousands of times before it expires.
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
        """Iterate over the timers as pairs of time and worker, in no particular order."""
        return iter(self._timers)

    @property
    def next_at(self) -> float | None:
        """The time of the first timer, which may have been postponed; None if there is none."""
        return self._timers[0][0] if self._timers else None

    def set(self, slot: Slot, when: float) -> None:
        """Set the timer of this worker."""
        slot.deadline = when
        if slot.timer is None or when < slot.timer:
            slot.timer = when
            heapq.heappush(self._timers, (when, slot.id))

    def pop_due(self, now: float) -> Iterator[Slot]:
        """Yield the workers whose timers have expired, and clear their deadlines."""
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
