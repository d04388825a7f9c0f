"""The scheduler's mutable state, and properties derived from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.assignment import Assignment
from processpool.core.commands import Command, Drop
from processpool.core.deadlines import Deadlines
from processpool.core.exit_reason import ExitReason
from processpool.core.exits import Exits
from processpool.core.fleet import Fleet
from processpool.core.flight import Flight
from processpool.core.growth import Growth
from processpool.core.retirement import Retirement
from processpool.core.states import PoolEvent, PoolState, WorkerState, pool_after
from processpool.core.work_queue import WorkQueue

if TYPE_CHECKING:
    from processpool.core.jobs import Batch, Job
    from processpool.core.policy import Policy
    from processpool.core.slot import Slot


class Books:
    """The state of a pool: its workers, queue, deadlines and counts."""

    def __init__(self, policy: Policy) -> None:
        """Begin with a pool that has not been opened."""
        self.state = PoolState.NEW
        self.finished = 0
        """The number of items that workers have answered."""
        self.failures = 0
        """The number of items that have failed."""
        self.singles = 0
        """The number of single requests that were answered or lost; maps count their own items."""
        self.breaks = 0
        """The number of times that the pool broke because workers failed to start."""
        self.fleet = fleet = Fleet(policy)
        self.slots = fleet.slots
        self.counts = fleet.counts
        self.queue = queue = WorkQueue()
        self.deadlines = deadlines = Deadlines(fleet.slots)
        self.exits = Exits(fleet, deadlines)
        self.flight = Flight(fleet, queue, self.exits)
        self.retirement = Retirement(fleet, deadlines, self.exits)
        self.assignment = Assignment(fleet, queue, deadlines, self.retirement)
        self.flight.budget = self.assignment.budget
        self.growth = Growth(fleet, queue, deadlines, self.assignment)
        self.close_deadline: float | None = None
        """The time until which a closing pool may finish its items; None for no limit."""
        self.overdue = False
        """True once a closing pool has dropped its queue, and ends its workers."""

    # -- reading ---------------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        """The sizes, times and limits in force."""
        return self.fleet.policy

    @property
    def alive(self) -> int:
        """The number of workers that count towards `max`: not those stopping or being recycled."""
        return self.fleet.alive

    @property
    def starting(self) -> int:
        """The number of workers that are being started or about to be."""
        return self.counts[WorkerState.STARTING] + max(self.growth.lacking(self.state), 0)

    @property
    def queued(self) -> int:
        """The number of queued items, without cancelled ones."""
        return self.queue.items

    @property
    def running(self) -> int:
        """The number of items that workers have."""
        return self.fleet.running

    @running.setter
    def running(self, items: int) -> None:
        self.fleet.running = items

    @property
    def forgives_kills(self) -> bool:
        """True if a worker that is killed while starting need not mean that the next one fails."""
        return self.growth.restarts.may_be_chance

    @property
    def has_work(self) -> bool:
        """True while an item is queued, running, or waiting for a retry."""
        return self.queued > 0 or self.running > 0 or self.queue.has_delayed

    @property
    def wants_idle(self) -> bool:
        """True if the scheduler must decide about a worker that becomes free."""
        if self.state is not PoolState.OPEN or self.policy.recycles:
            return True
        return bool(self.queue) or self.assignment.others_first or self.fleet.expiring > 0

    @property
    def next_deadline(self) -> float | None:
        """The time of the next call of `tick`, unless an event comes before."""
        times = (self.deadlines.next_at, self.close_deadline, self.queue.next_due)
        return min((time for time in times if time is not None), default=None)

    @property
    def next_start(self) -> float | None:
        """The time of the next call of `spawn`; None if no more workers are wanted."""
        return self.growth.restarts.next_at if self.growth.lacking(self.state) > 0 else None

    def can_share(self, worker: int) -> bool:
        """True if an idle worker could take over items that this worker has not begun."""
        return self.slots[worker].load > 1 and not self.queue and self.fleet.has_free_worker

    def keeps(self, job: Job) -> bool:
        """True if an item of this job is queued or waiting for a retry."""
        return job.queued > 0 or self.queue.delays(job)

    def holder(self, job: Job) -> int | None:
        """Return the worker that has prefetched this job's only item, if any."""
        return self.flight.holder(job)

    def count(self, slot: Slot, ended: list[Batch], failed: int) -> None:
        """Items of a worker have ended, and so many of them with an error."""
        late = sum(len(batch) for batch in ended if batch.job.cancelled)
        if late:  # nobody waits for them any more, however they have ended
            slot.cancelled += late
            failed = min(failed, sum(map(len, ended)) - late)
        slot.failed += failed
        self.failures += failed
        self.singles += sum(len(batch) for batch in ended if not batch.job.number)

    # -- common to all events ----------------------------------------------------------------------

    def change(self, event: PoolEvent) -> None:
        """Change the pool's state by the table of transitions."""
        self.state = pool_after(self.state, event)

    def _assign(self, now: float) -> list[Command]:
        """Assign what can be assigned; a closing pool without work ends its workers."""
        out = self.assignment.assign(self.state, now)
        if self.state is PoolState.CLOSING and not (self.queue or self.queue.has_delayed):
            for slot in list(self.fleet.idle.values()):
                out += self.exits.ask(slot, ExitReason.CLOSED, now)
            if self.counts[WorkerState.STARTING]:
                for slot in self.slots.values():
                    if slot.state is WorkerState.STARTING:
                        out += self.exits.end(slot, ExitReason.CLOSED)
        return out

    def _drop_queue(self) -> list[Command]:
        return [Drop(batch, self.state) for batch in self.queue.clear()]
