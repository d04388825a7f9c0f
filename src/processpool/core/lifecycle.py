"""Decisions about the pool as a whole: opening, pausing, resizing, resetting and closing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.books import Books
from processpool.core.exit_reason import ExitReason
from processpool.core.states import PoolEvent, PoolState

if TYPE_CHECKING:
    from processpool.core.commands import Command
    from processpool.core.policy import Policy


class Lifecycle(Books):
    """The part of the scheduler that opens, controls and closes the pool."""

    def opened(self, now: float) -> list[Command]:
        """The engine's thread is running; the pool may have been closed meanwhile."""
        if self.state is PoolState.OPENING:
            self.change(PoolEvent.OPENED)
        return self._assign(now)

    def resize(self, policy: Policy, now: float) -> list[Command]:
        """Apply other sizes, times and limits from now on."""
        self.fleet.policy = policy
        out: list[Command] = []
        idle = self.fleet.idle
        # First those whose place is none any more, then those that have been idle for longest.
        in_order = sorted(idle.values(), key=lambda slot: slot.place < policy.max)
        for slot in in_order[: max(self.alive - policy.max, 0)]:
            out += self.exits.ask(slot, ExitReason.RESIZED, now)
        for slot in idle.values():
            self.retirement.set_idle_timer(slot, now)
        return out + self._assign(now)

    def pause(self) -> list[Command]:
        """Assign no work until `resume`."""
        if self.state is PoolState.OPEN:
            self.change(PoolEvent.PAUSED)
        return []

    def resume(self, now: float) -> list[Command]:
        """Assign work again."""
        if self.state is PoolState.PAUSED:
            self.change(PoolEvent.RESUMED)
        return self._assign(now)

    def reset(self, now: float) -> list[Command]:
        """Forget failed starts, and open the pool again if it is broken."""
        self.growth.restarts.reset()
        if self.state is PoolState.BROKEN:
            self.change(PoolEvent.MENDED)
        return self._assign(now)

    def close(self, deadline: float | None, now: float) -> list[Command]:
        """Reject new work, finish the items there are until `deadline`, then end all workers."""
        self.change(PoolEvent.CLOSING)
        self.close_deadline = deadline
        self.assignment.refuse_waiters(self.state)
        return self._assign(now)

    def kill_all(self) -> list[Command]:
        """Drop the queue and kill all workers at once."""
        if self.state in (PoolState.CLOSED, PoolState.FORKED):
            return []
        self.change(PoolEvent.CLOSING)
        self.close_deadline = None
        self.overdue = True
        self.assignment.refuse_waiters(self.state)
        out = self._drop_queue()
        for slot in self.slots.values():
            out += self.exits.end(slot, ExitReason.CLOSED)
        return out

    def _break(self) -> list[Command]:
        """Break the pool: drop the queue and refuse waiting leases, as no worker will come."""
        if self.state is not PoolState.CLOSING:
            self.breaks += self.state is not PoolState.BROKEN
            self.change(PoolEvent.BROKE)
            self.assignment.refuse_waiters(self.state)
        return self._drop_queue()
