"""How a worker is ended: ask, wait, SIGTERM, wait, SIGKILL. This is the only way out.

Each worker stands on one step of the ladder; an event leads to the next step and to a command. An
event that is not in the table changes nothing: the worker is further down already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.commands import DumpStacks, Kill, Stop, Terminate
from processpool.core.states import ExitEvent, ExitStep, WorkerState

if TYPE_CHECKING:
    from processpool.core.commands import Command
    from processpool.core.deadlines import Deadlines
    from processpool.core.exit_reason import ExitReason
    from processpool.core.fleet import Fleet
    from processpool.core.slot import Slot

TERM_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL, at most; php-fpm waits as long."""
DUMP_GRACE = 0.1
"""Seconds that a worker has to dump the stacks of its threads."""


_S, _E = ExitStep, ExitEvent

LADDER: dict[
    tuple[ExitStep, ExitEvent],
    tuple[ExitStep, type[Stop | DumpStacks | Terminate | Kill] | None],
] = {
    (_S.NONE, _E.ASK): (_S.ASKED, Stop),
    (_S.NONE, _E.DUMP): (_S.DUMPING, DumpStacks),
    (_S.NONE, _E.HURRY): (_S.TERMINATED, Terminate),
    (_S.NONE, _E.END): (_S.KILLED, Kill),
    (_S.ASKED, _E.OVERDUE): (_S.TERMINATED, Terminate),
    (_S.ASKED, _E.HURRY): (_S.TERMINATED, Terminate),
    (_S.ASKED, _E.END): (_S.KILLED, Kill),
    (_S.DUMPING, _E.OVERDUE): (_S.KILLED, Kill),
    (_S.DUMPING, _E.END): (_S.KILLED, Kill),
    (_S.TERMINATED, _E.OVERDUE): (_S.KILLED, Kill),
    (_S.TERMINATED, _E.END): (_S.KILLED, Kill),
    **{(step, _E.LOST): (_S.GONE, None) for step in _S},
}
"""Step and event → next step, and the command that is given there."""


class Exits:
    """Leads workers down the ladder."""

    def __init__(self, fleet: Fleet, deadlines: Deadlines) -> None:
        self._fleet = fleet
        self._deadlines = deadlines

    def ask(self, slot: Slot, reason: ExitReason, now: float) -> list[Command]:
        """Ask an idle worker to exit by itself."""
        return self._step(slot, ExitEvent.ASK, reason, now)

    def dump(self, slot: Slot, reason: ExitReason, now: float) -> list[Command]:
        """Have it dump the stacks of its threads, then kill it."""
        return self._step(slot, ExitEvent.DUMP, reason, now)

    def overdue(self, slot: Slot, now: float) -> list[Command]:
        """The time of its step is over: take the next one."""
        return self._step(slot, ExitEvent.OVERDUE, None, now)

    def hurry(self, slot: Slot, reason: ExitReason, now: float) -> list[Command]:
        """Terminate it, as the pool has no more time."""
        return self._step(slot, ExitEvent.HURRY, reason, now)

    def end(self, slot: Slot, reason: ExitReason) -> list[Command]:
        """End it at once."""
        return self._step(slot, ExitEvent.END, reason, 0.0)

    def lost(self, slot: Slot) -> None:
        """Note that its process has ended, by itself or because it was made to."""
        self._step(slot, ExitEvent.LOST, None, 0.0)

    def _step(
        self, slot: Slot, event: ExitEvent, reason: ExitReason | None, now: float
    ) -> list[Command]:
        """Take a step; `reason` says why, for a worker that has not been on the ladder yet."""
        found = LADDER.get((slot.exit_step, event))
        if found is None:
            return []
        if slot.state is not WorkerState.STOPPING:
            self._fleet.leave(slot, reason)
        slot.exit_step, command = found
        seconds = self._seconds(slot.exit_step)
        if seconds is None:
            slot.deadline = None
        else:
            self._deadlines.set(slot, now + seconds)
        return [] if command is None else [command(slot.id)]

    def _seconds(self, step: ExitStep) -> float | None:
        """How long a worker may stay on this step."""
        match step:
            case ExitStep.ASKED:
                return self._fleet.policy.exit
            case ExitStep.DUMPING:
                return DUMP_GRACE
            case ExitStep.TERMINATED:
                return min(self._fleet.policy.exit, TERM_GRACE)
            case _:
                return None
