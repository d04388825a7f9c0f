"""The workers of a pool: how many are in which state, and which of them can take more."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from processpool.core.places import next_place
from processpool.core.slot import Slot
from processpool.core.states import WorkerEvent, WorkerState, after

if TYPE_CHECKING:
    from processpool.core.exit_reason import ExitReason
    from processpool.core.policy import Policy

QUICK = 0.001
"""Seconds: items that take less are sent ahead, where the policy is paced."""
SLOW = 1.0
"""Seconds that items take as long as nothing is known of them."""
FADES = 0.1
"""The factor by which an old, slow estimate fades with each new one."""


class Fleet:
    """All workers of a pool, and indexes over them that always agree with their states."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.slots: dict[int, Slot] = {}
        """By number, in the order in which they were started."""
        self.counts = dict.fromkeys(WorkerState, 0)
        """How many workers are in each state."""
        self.idle: dict[int, Slot] = {}
        """Idle ones, the one that was busy last at the end."""
        self.has_capacity: dict[int, Slot] = {}
        """Busy ones that may be given more, the one that has waited longest for it in front."""
        self.prefetching: dict[int, Slot] = {}
        """Those that were given more than one item; some may have answered them by now."""
        self.running = 0
        """Items that workers have."""
        self.expiring = 0
        """Workers that are to be recycled, and are not on their way out yet."""
        self._seconds_each = SLOW
        self._numbers = count(1)

    @property
    def alive(self) -> int:
        """Workers that count against `max`: all but those on their way out."""
        return len(self.slots) - self.counts[WorkerState.STOPPING] - self.expiring

    @property
    def taken(self) -> int:
        """Workers that nobody can take the place of yet."""
        return len(self.slots) if self.policy.exclusive else self.alive

    @property
    def has_free_worker(self) -> bool:
        """True if one is idle and may begin: a replacement waits until its predecessor is done."""
        counts = self.counts
        working = counts[WorkerState.BUSY] + counts[WorkerState.LEASED]
        return bool(self.idle) and working < self.policy.max

    def window(self, slot: Slot, wanted: int | None) -> int:
        """Items that a worker may have at a time, given what their job wants."""
        policy = self.policy
        if policy.memory is not None and self._seconds_each >= QUICK:
            return 1  # what it has would begin without being asked for
        if policy.paced and not (slot.exact and self._seconds_each < QUICK):
            return 1
        return wanted or policy.window

    def learn(self, items: int, seconds: float) -> None:
        """Learn that a worker took so long for so many items."""
        was_quick = self._seconds_each < QUICK
        self._seconds_each = max(seconds / items, self._seconds_each * FADES)
        if was_quick and self._seconds_each >= QUICK:
            self.has_capacity.clear()

    def add(self, now: float) -> Slot:
        """Add a worker that is being started."""
        policy = self.policy
        place = next_place(self.slots.values(), policy.max, exclusive=policy.exclusive)
        slot = Slot(next(self._numbers), now, policy, place)
        self.slots[slot.id] = slot
        self.counts[slot.state] += 1
        return slot

    def remove(self, worker: int) -> Slot:
        """Remove a worker that is gone; its items are still in its slot."""
        slot = self.slots.pop(worker)
        self.counts[slot.state] -= 1
        self._forget(slot)
        self.prefetching.pop(worker, None)
        if slot.expiring and slot.state is not WorkerState.STOPPING:
            self.expiring -= 1
        self.running -= slot.load
        return slot

    def move(self, slot: Slot, event: WorkerEvent) -> None:
        """Change a worker's state by the table of transitions."""
        before = slot.state
        slot.state = after(before, event)
        self.counts[before] -= 1
        self.counts[slot.state] += 1

    @property
    def next_idle(self) -> Slot:
        """The idle worker that is next: the one that was busy last, as its caches are warm.

        Of workers that have never been busy it is the oldest, which has loaded most.
        """
        if self.policy.single_use:
            return next(iter(self.idle.values()))
        return next(reversed(self.idle.values()))

    def take_idle(self, now: float) -> Slot:
        """Take out an idle worker, for somebody who drives it by hand."""
        slot = self.next_idle
        self.move(slot, WorkerEvent.TAKEN)
        del self.idle[slot.id]
        slot.since = now
        slot.deadline = None
        return slot

    def leave(self, slot: Slot, reason: ExitReason | None) -> None:
        """Give a worker nothing more: it is on its way out."""
        self.move(slot, WorkerEvent.STOPPED)
        slot.exit_reason = reason
        slot.deadline = None
        if slot.expiring:
            self.expiring -= 1
        self._forget(slot)

    def relieve(self, slot: Slot, items: int) -> None:
        """Note that a worker has `items` items fewer."""
        slot.load -= items
        self.running -= items

    def _forget(self, slot: Slot) -> None:
        self.idle.pop(slot.id, None)
        self.has_capacity.pop(slot.id, None)
