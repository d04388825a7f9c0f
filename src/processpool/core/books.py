"""The pool's entire mutable state, and what can be read off it."""

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
    from processpool.core.jobs import Job
    from processpool.core.policy import Policy


class Books:
    """Who works on what, what waits, and what is due: nothing else of a pool ever changes."""

    def __init__(self, policy: Policy) -> None:
        """Begin with a pool that has not been opened."""
        self.state = PoolState.NEW
        self.finished = 0
        """Items that workers have answered."""
        self.failures = 0
        """Items that have failed."""
        self.breaks = 0
        """How often the pool broke because workers failed to start."""
        self.fleet = fleet = Fleet(policy)
        self.slots = fleet.slots
        self.counts = fleet.counts
        self.queue = queue = WorkQueue()
        self.deadlines = deadlines = Deadlines(fleet.slots)
        self.exits = Exits(fleet, deadlines)
        self.flight = Flight(fleet, queue, self.exits)
        self.retirement = Retirement(fleet, deadlines, self.exits)
        self.assignment = Assignment(fleet, queue, deadlines, self.retirement)
        self.growth = Growth(fleet, queue, deadlines, self.assignment)
        self.close_deadline: float | None = None
        """Until when a closing pool may finish what is queued."""
        self.overdue = False
        """True once a closing pool does not finish what is queued."""

    # -- reading ---------------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        """The sizes, times and limits in force."""
        return self.fleet.policy

    @property
    def alive(self) -> int:
        """Workers that count against `max`: all but those on their way out."""
        return self.fleet.alive

    @property
    def starting(self) -> int:
        """Workers that are being started, or wanted."""
        return self.counts[WorkerState.STARTING] + max(self.growth.lacking(self.state), 0)

    @property
    def queued(self) -> int:
        """Items that wait for a worker, without cancelled ones."""
        return self.queue.items

    @property
    def running(self) -> int:
        """Items that workers have."""
        return self.fleet.running

    @running.setter
    def running(self, items: int) -> None:
        self.fleet.running = items

    @property
    def forgives_kills(self) -> bool:
        """True if a worker that is killed while it starts says nothing about the next one."""
        return self.growth.restarts.may_be_chance

    @property
    def has_work(self) -> bool:
        """True while an item waits or runs."""
        return self.queued > 0 or self.running > 0 or self.queue.has_delayed

    @property
    def wants_idle(self) -> bool:
        """True if a worker that becomes free has something to do, or is not to be kept."""
        if self.state is not PoolState.OPEN or self.policy.recycles:
            return True
        return bool(self.queue) or bool(self.assignment.waiters)

    @property
    def next_deadline(self) -> float | None:
        """When `tick` is to be called next, if nothing happens before."""
        times = (self.deadlines.next_at, self.close_deadline, self.queue.next_due)
        return min((time for time in times if time is not None), default=None)

    @property
    def next_start(self) -> float | None:
        """When `spawn` is to be called next; None if no further worker is wanted."""
        return self.growth.restarts.next_at if self.growth.lacking(self.state) > 0 else None

    def can_share(self, worker: int) -> bool:
        """True if somebody is free to do what this worker has not begun."""
        return self.slots[worker].load > 1 and not self.queue and self.fleet.has_free_worker

    def keeps(self, job: Job) -> bool:
        """True if an item of this job waits in the queue, or to be tried again."""
        return job.queued > 0 or self.queue.delays(job)

    def holder(self, job: Job) -> int | None:
        """Return the worker that holds the one item of this job, behind the item it works on."""
        return self.flight.holder(job)

    # -- what every event ends with ----------------------------------------------------------------

    def change(self, event: PoolEvent) -> None:
        """Change the pool's state by the table of transitions."""
        self.state = pool_after(self.state, event)

    def _assign(self, now: float) -> list[Command]:
        """Hand out what can be handed out; a closing pool without work ends its workers."""
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
