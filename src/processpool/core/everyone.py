"""Decisions about all workers: errands for each of them, and their replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.commands import Drop
from processpool.core.exit_reason import ExitReason
from processpool.core.short_way import ShortWay
from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from processpool.core.commands import Command
    from processpool.core.errands import Errand
    from processpool.core.slot import Slot


class Everyone(ShortWay):
    """The part of the scheduler that reaches every worker."""

    def broadcast(self, errand: Errand, now: float) -> list[Command]:
        """Have every worker run an errand before anything else, those that come later included."""
        slots = self.slots.values()
        there = [slot for slot in slots if slot.state is not WorkerState.STOPPING]
        self.assignment.errands.add(errand, there, now)
        self.assignment.note_others()
        return self._assign(now)

    def replace(self, worker: int, now: float) -> list[Command]:
        """Replace a worker as soon as its replacement is ready; or at once, if none is wanted."""
        slot = self.slots.get(worker)
        if slot is None:
            return []
        slot.expires_for = ExitReason.RESTARTED
        out = self.retirement.expire(slot, now)
        if self.growth.lacking(self.state) <= 0:
            out += self.retirement.retire(slot, ExitReason.RESTARTED, now)
        return out + self._assign(now)

    def reassign(self, now: float) -> list[Command]:
        """Assign what can be assigned: it was tried to recall something that comes first."""
        return self._assign(now)

    def _drop_errands(self, slot: Slot, *, begun: bool) -> list[Drop]:
        """A worker is gone: no other one does what it was to do first."""
        left = [*self.assignment.errands.waiting.pop(slot.id, ())]
        self.assignment.note_others()
        if slot.inflight and slot.inflight[0].job.is_errand and not (begun or slot.costs_item):
            left.append(slot.inflight.popleft())
        return [Drop(batch, self.state) for batch in left]
