"""Which workers are let go: the surplus, the idle, the old, and those that have done enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.exit_reason import ExitReason
from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from processpool.core.commands import Command
    from processpool.core.deadlines import Deadlines
    from processpool.core.exits import Exits
    from processpool.core.fleet import Fleet
    from processpool.core.slot import Slot

SURPLUS_LINGER = 1.0
"""Seconds that a worker beyond `spare` waits for the next burst before it is retired."""


class Retirement:
    """Decides whether a worker that has nothing to do is kept, and for how long."""

    def __init__(self, fleet: Fleet, deadlines: Deadlines, exits: Exits) -> None:
        self._fleet = fleet
        self._deadlines = deadlines
        self._exits = exits

    def park(self, slot: Slot, now: float) -> list[Command]:
        """Keep a worker that has nothing to do, or let it go."""
        fleet = self._fleet
        slot.since = now
        fleet.has_capacity.pop(slot.id, None)
        fleet.idle[slot.id] = slot
        self.note_expiry(slot, now)
        if slot.remaining is not None and slot.remaining <= 0:
            slot.retiring = ExitReason.RECYCLED
        elif fleet.alive > fleet.policy.max and not slot.expiring:
            slot.retiring = ExitReason.RESIZED
        if slot.retiring is not None:
            return self._exits.ask(slot, slot.retiring, now)
        self.set_idle_timer(slot, now)
        return []

    def set_idle_timer(self, slot: Slot, now: float) -> None:
        """Set the timer of an idle worker: for when it has been idle too long, or is too old."""
        fleet = self._fleet
        idle = fleet.policy.idle
        if len(fleet.idle) > fleet.policy.spare:
            idle = SURPLUS_LINGER if idle is None else min(idle, SURPLUS_LINGER)
        if len(fleet.slots) <= fleet.policy.min:
            idle = None
        times = [] if idle is None else [now + idle]
        if slot.max_age is not None and not slot.expiring:
            times.append(slot.started_at + slot.max_age)
        if times:
            self._deadlines.set(slot, min(times))
        else:
            slot.deadline = None

    def idle_too_long(self, slot: Slot, now: float) -> list[Command]:
        """Let an idle worker go whose time is over, unless it is one of the `min`."""
        self.note_expiry(slot, now)
        if slot.retiring is not None:
            return self._exits.ask(slot, slot.retiring, now)
        if self._fleet.alive > self._fleet.policy.min and not slot.expiring:
            return self._exits.ask(slot, ExitReason.IDLE, now)
        return []

    def retire(self, slot: Slot, reason: ExitReason, now: float) -> list[Command]:
        """Let a worker finish what it has, then ask it to exit; nothing new goes to it."""
        if slot.state is WorkerState.IDLE:
            return self._exits.ask(slot, reason, now)
        if slot.state is not WorkerState.STOPPING:
            slot.retiring = reason
            self._fleet.has_capacity.pop(slot.id, None)
        return []

    # -- recycling -------------------------------------------------------------------------------

    def note_expiry(self, slot: Slot, now: float) -> None:
        """Check whether a worker is near its limit of items or age."""
        if slot.expires(now, early=not self._fleet.policy.exclusive):
            self._mark_expiring(slot)

    def expire(self, slot: Slot, now: float) -> list[Command]:
        """Recycle a worker as soon as its replacement is ready; or at once, if that must wait."""
        if self._fleet.policy.exclusive:
            return self.retire(slot, slot.expires_for, now)
        self._mark_expiring(slot)
        return []

    def _mark_expiring(self, slot: Slot) -> None:
        """Mark a worker as to be recycled: a replacement may be started, now or when it is gone."""
        if slot.expiring or slot.state is WorkerState.STOPPING:
            return
        if self._fleet.policy.exclusive:
            slot.retiring = slot.retiring or ExitReason.RECYCLED
            self._fleet.has_capacity.pop(slot.id, None)
        else:
            slot.expiring = True
            self._fleet.expiring += 1

    def replace_expiring(self, successor: Slot, now: float) -> list[Command]:
        """A replacement is ready: retire its predecessor, or else the oldest that is to go."""
        expiring = [
            slot
            for slot in self._fleet.slots.values()
            if slot.expiring and slot.retiring is None and slot.state is not WorkerState.STOPPING
        ]
        if not expiring:
            return []
        # The first one that has the same place; the first of all, if none has.
        slot = min(expiring, key=lambda slot: slot.place != successor.place)
        return self.retire(slot, slot.expires_for, now)
