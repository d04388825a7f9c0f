"""The number of workers that the pool wants, and the handling of failed starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.commands import Spawn
from processpool.core.restarts import Restarts
from processpool.core.states import PoolState, WorkerState

if TYPE_CHECKING:
    from processpool.core.assignment import Assignment
    from processpool.core.deadlines import Deadlines
    from processpool.core.fleet import Fleet
    from processpool.core.work_queue import WorkQueue


_WANTS_NONE = frozenset({PoolState.BROKEN, PoolState.CLOSED, PoolState.FORKED})


class Growth:
    """Decides when another worker is started."""

    def __init__(
        self, fleet: Fleet, queue: WorkQueue, deadlines: Deadlines, assignment: Assignment
    ) -> None:
        self.restarts = Restarts()
        """Recent failed starts."""
        self._fleet = fleet
        self._queue = queue
        self._deadlines = deadlines
        self._assignment = assignment

    def lacking(self, state: PoolState) -> int:
        """Return how many more workers are wanted; zero or less means none."""
        if state in _WANTS_NONE:
            return 0
        fleet, policy = self._fleet, self._fleet.policy
        alive = fleet.alive
        waiting = self._queue.items + len(self._queue.held) + len(self._assignment.waiters)
        if policy.takes_back:  # a new worker could take over prefetched items
            waiting += max(fleet.running - fleet.counts[WorkerState.BUSY], 0)
        if policy.memory is not None and fleet.idle:  # they wait for memory, not for a worker
            waiting = 0
        wanted = waiting - fleet.counts[WorkerState.STARTING] - len(fleet.idle)
        if state is not PoolState.CLOSING:
            wanted = max(wanted, policy.min - alive)
        return min(wanted, policy.max - fleet.taken)

    def spawn(self, state: PoolState, now: float) -> list[Spawn]:
        """Start one more worker, if one is wanted and the back-off is over."""
        if self.lacking(state) <= 0 or now < self.restarts.next_at:
            return []
        slot = self._fleet.add(now)
        self._assignment.errands.greet(slot.id, now)
        self._assignment.note_others()
        start = self._fleet.policy.start
        if start is not None:
            self._deadlines.set(slot, now + start)
        return [Spawn(slot.id, slot.place)]

    def breaks(self, now: float, *, killed: bool) -> bool:
        """Record a failed start; True if that exceeds the limit and no worker has started."""
        fleet = self._fleet
        note = self.restarts.killed if killed else self.restarts.failed
        too_often = note(fleet.policy, now)
        return too_often and fleet.alive <= fleet.counts[WorkerState.STARTING]
