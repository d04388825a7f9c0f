"""What the tests of the scheduler share: a job that notes, commands as words, a check of the books.

`Bench` is the scheduler with the clock in hand: each of its methods is an event, returns the
commands as words, and checks that all numbers still agree.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from processpool.core.commands import (
    Command,
    Done,
    Drop,
    DumpStacks,
    Grant,
    Kill,
    LeaseWaiter,
    Lost,
    MakeWay,
    Retry,
    Send,
    Spawn,
    Stop,
    TakeBack,
    Terminate,
)
from processpool.core.exit_reason import ExitReason
from processpool.core.jobs import Batch, Job, Origin
from processpool.core.policy import Policy
from processpool.core.scheduler import Scheduler
from processpool.core.states import PoolEvent, PoolState, WorkerState
from processpool.core.terms import USUAL, Terms

if TYPE_CHECKING:
    from processpool.core.slot import Slot


class NotedJob(Job):
    """A job that delivers nowhere; its items are called `a0`, `a1`, …"""

    __slots__ = ("name",)

    def __init__(self, name: str, timeout: float | None = None, terms: Terms = USUAL) -> None:
        super().__init__(timeout, terms=terms)
        self.name = name

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        raise AssertionError("the scheduler delivers nothing")

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        raise AssertionError("the scheduler drops nothing")


def items(batch: Batch) -> list[str]:
    """The names of a batch's items."""
    assert isinstance(batch.job, NotedJob)
    names = [f"{batch.job.name}{batch.start + offset}" for offset in range(len(batch))]
    assert list(batch.payloads) == names, "payloads and indexes have come apart"
    return names


def words(commands: list[Command]) -> list[str]:
    """Commands as they are compared: `send 1 a0 a1`, `lost a0: timeout`, `drop a1: closing`."""
    return [_word(command) for command in commands]


def _word(command: Command) -> str:
    match command:
        case Send(worker, batch):
            return " ".join(["send", str(worker), *items(batch)])
        case Spawn(worker):
            return f"spawn {worker}"
        case Done(_, batch):
            return f"done {' '.join(items(batch))}"
        case Stop(worker):
            return f"stop {worker}"
        case Terminate(worker):
            return f"terminate {worker}"
        case Kill(worker):
            return f"kill {worker}"
        case Grant(worker):
            return f"grant {worker}"
        case Lost(batch, reason):
            return f"lost {' '.join(items(batch))}: {reason}"
        case Retry(batch, reason):
            return f"retry {' '.join(items(batch))}: {reason}"
        case MakeWay(number):
            return f"make way {number}"
        case TakeBack(number, read):
            return f"{'ask' if read else 'take'} back {number}"
        case DumpStacks(number):
            return f"dump {number}"
        case Drop(batch, state):
            return f"drop {' '.join(items(batch))}: {state}"
    raise AssertionError(command)


def check(scheduler: Scheduler) -> None:
    """Recompute every number and index that the scheduler keeps, and compare."""
    slots = scheduler.slots.values()
    assert scheduler.counts == {
        state: sum(slot.state is state for slot in slots) for state in WorkerState
    }
    waiting = [batch for batch in scheduler.queue if not batch.job.cancelled]
    assert scheduler.queued == sum(map(len, waiting))
    assert scheduler.running == sum(slot.load for slot in slots)
    for job in {batch.job for batch in scheduler.queue}:
        assert job.queued == sum(len(batch) for batch in waiting if batch.job is job)
    assert set(scheduler.fleet.idle) == {s.id for s in slots if s.state is WorkerState.IDLE}
    for slot in slots:
        _check_slot(scheduler, slot)
    _check_no_work_is_forgotten(scheduler, waiting)


def _check_slot(scheduler: Scheduler, slot: Slot) -> None:
    window = scheduler.policy.window
    assert slot.load == sum(map(len, slot.inflight)) <= window
    assert bool(slot.load) == (slot.state is WorkerState.BUSY) or slot.state is WorkerState.STOPPING
    if slot.id in scheduler.fleet.has_capacity:
        assert slot.state is WorkerState.BUSY
        assert slot.load < window
        assert slot.retiring is None
    if slot.deadline is not None:
        assert slot.timer is not None
        assert slot.timer <= slot.deadline
        assert (slot.timer, slot.id) in scheduler.deadlines


def _check_no_work_is_forgotten(scheduler: Scheduler, waiting: list[Batch]) -> None:
    if scheduler.state in (PoolState.OPEN, PoolState.CLOSING):
        free = bool(scheduler.fleet.has_free_worker or scheduler.fleet.has_capacity)
        if any(slot.asked for slot in scheduler.slots.values()):
            free = False  # what is less urgent is recalled first
        if scheduler.policy.memory is not None:
            free = False  # there may be no room for it
        assert not (waiting and free), "an item waits, though a worker is free"
        lends = scheduler.assignment.waiters and scheduler.fleet.has_free_worker
        assert not lends, "a lease waits, though a worker is free"


def policy(**numbers: Any) -> Policy:
    """A policy with these numbers, the others being round."""
    usual: dict[str, Any] = {"min": 1, "max": 4, "spare": 4, "backoff": (1.0, 8.0)}
    return Policy(**(usual | numbers))


def opened(policy: Policy) -> Scheduler:
    """The scheduler of a pool that has just been opened."""
    scheduler = Scheduler(policy)
    scheduler.change(PoolEvent.OPENING)
    assert scheduler.opened(0.0) == []
    return scheduler


class Bench:
    """A scheduler and its clock."""

    def __init__(self, **numbers: Any) -> None:
        """`numbers` are those of the policy that matter to the test."""
        usual: dict[str, Any] = {"min": 1, "max": 2, "max_failures": 2, "backoff": (1.0, 4.0)}
        usual |= numbers
        self.policy = Policy(**{"spare": usual["max"]} | usual)
        self.scheduler = opened(self.policy)
        self.now = 100.0
        self._names = (chr(ord("a") + number % 26) for number in count())

    def jobs(self, count: int) -> list[NotedJob]:
        """So many new jobs."""
        return [self.job() for _ in range(count)]

    def job(self, timeout: float | None = None, priority: int = 0) -> NotedJob:
        """A new job; they are called a, b, c, …"""
        return NotedJob(next(self._names), timeout, Terms(priority))

    def submit(self, job: NotedJob, size: int = 1, start: int = 0) -> list[str]:
        payloads = [f"{job.name}{start + offset}" for offset in range(size)]
        return self._done(self.scheduler.submit(Batch(job, start, payloads, self.now), self.now))

    def start_all(self) -> list[int]:
        """Start what is wanted now; the numbers of the workers."""
        started = []
        while commands := self.scheduler.spawn(self.now):
            (spawned,) = commands
            assert type(spawned) is Spawn
            started.append(spawned.worker)
            check(self.scheduler)
        return started

    def ready(self, worker: int) -> list[str]:
        return self._done(self.scheduler.ready(worker, self.now))

    def ready_all(self) -> list[str]:
        """Start what is wanted, and have all of it become ready."""
        return [word for worker in self.start_all() for word in self.ready(worker)]

    def answered(self, worker: int, count: int = 1, failed: int = 0) -> list[str]:
        """The worker answers: `done a0`, and what follows from it."""
        return self._done(self.scheduler.answered(worker, count, self.now, failed))

    def exited(self, worker: int, *, failed_start: bool = False, begun: bool = True) -> list[str]:
        return self._done(
            self.scheduler.exited(worker, self.now, failed_start=failed_start, begun=begun)
        )

    def lease(self) -> tuple[LeaseWaiter, list[str]]:
        waiter = LeaseWaiter()
        return waiter, self._done(self.scheduler.lease(waiter, self.now))

    def release(self, worker: int, handled: int = 1) -> list[str]:
        return self._done(self.scheduler.release(worker, handled, self.now))

    def take(self) -> int | None:
        slot = self.scheduler.take(self.now)
        check(self.scheduler)
        return None if slot is None else slot.id

    def cancel(self, job: Job, *, kill: bool = False) -> list[str]:
        return self._done(self.scheduler.cancel(job, self.now, kill=kill))

    def kill(self, worker: int, reason: ExitReason = ExitReason.RESTARTED) -> list[str]:
        return self._done(self.scheduler.kill(worker, reason, self.now))

    def retire(self, worker: int) -> list[str]:
        return self._done(self.scheduler.retire(worker, ExitReason.RESTARTED, self.now))

    def taken_back(self, worker: int, batches: list[Batch]) -> list[str]:
        return self._done(self.scheduler.taken_back(worker, batches, self.now))

    def reassign(self) -> list[str]:
        return self._done(self.scheduler.reassign(self.now))

    def close(self, grace: float | None = None) -> list[str]:
        deadline = None if grace is None else self.now + grace
        return self._done(self.scheduler.close(deadline, self.now))

    def after(self, seconds: float) -> list[str]:
        """So much time goes by, and every timer goes off; no worker is started."""
        end = self.now + seconds
        out: list[str] = []
        while (due := self._next_timer()) is not None and due <= end:
            asked_for = self.scheduler.next_deadline
            assert asked_for is not None
            assert asked_for <= due
            self.now = max(self.now, due)
            out += self._done(self.scheduler.tick(self.now))
        self.now = end
        return out

    def _next_timer(self) -> float | None:
        times = [when for when, _ in self.scheduler.deadlines]
        others = (self.scheduler.close_deadline, self.scheduler.queue.next_due)
        return min([*times, *(when for when in others if when is not None)], default=None)

    def pool_state(self) -> PoolState:
        return self.scheduler.state

    def state(self, worker: int) -> WorkerState:
        return self.scheduler.slots[worker].state

    def _done(self, commands: list[Command]) -> list[str]:
        check(self.scheduler)
        return words(commands)
