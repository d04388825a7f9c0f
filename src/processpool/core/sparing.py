"""Decisions about memory, for pools that declare a budget of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.everyone import Everyone
from processpool.core.exit_reason import ExitReason
from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processpool.core.commands import Command


class Sparing(Everyone):
    """The part of the scheduler that keeps to a budget of memory."""

    def weighed(self, usage: Mapping[int, int], now: float) -> list[Command]:
        """Take in what each worker uses; above the budget, the youngest item gives way."""
        budget = self.assignment.budget
        budget.measured(usage)
        out: list[Command] = []
        for slot, reason in budget.excess():
            if slot.state is WorkerState.IDLE:
                out += self.exits.ask(slot, reason, now)
            else:
                out += self.exits.end(slot, reason)
        return out + self._assign(now)

    def starved(self, worker: int) -> None:
        """Note that the kernel has killed a worker for lack of memory."""
        slot, memory = self.slots[worker], self.policy.memory
        if memory is None or slot.exit_reason is not None or not slot.inflight:
            return
        self.assignment.budget.starve(slot)
        alone = self.assignment.budget.was_alone(slot) or not memory.retries
        slot.exit_reason = ExitReason.OUT_OF_MEMORY if alone else ExitReason.MEMORY
