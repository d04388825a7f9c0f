"""The scheduler under any sequence of events: every item ends exactly once, and the books agree."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from processpool.core.commands import (
    Command,
    Done,
    Drop,
    Grant,
    Kill,
    LeaseWaiter,
    Lost,
    Send,
    Stop,
    Terminate,
)
from processpool.core.exit_reason import ExitReason
from processpool.core.jobs import Batch
from processpool.core.policy import Policy, resized
from processpool.core.states import PoolState, WorkerState
from tests.core.scheduling import NotedJob, check, items, opened

SECONDS = st.sampled_from([0.0, 0.25, 1.0, 5.0, 30.0, 400.0])
ENDED_STATES = (PoolState.CLOSING, PoolState.BROKEN)


class SchedulerMachine(RuleBasedStateMachine):
    """Plays the engine: gives the scheduler any news that could come, and believes its commands."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.ends: Counter[str] = Counter()
        self.submitted: set[str] = set()
        self.sent: dict[int, list[str]] = {}
        """What a worker has been sent and has not answered, in order."""
        self.asked_to_go: set[int] = set()
        self.waiters: list[LeaseWaiter] = []
        self.leased: list[int] = []
        self.names = 0
        self.shrunk = False
        self.scheduler = opened(Policy(min=1, max=3, spare=2, window=1))

    # -- what an engine does with commands -------------------------------------------------------

    def obey(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Send(worker, batch):
                    assert self.scheduler.slots[worker].state is WorkerState.BUSY
                    assert worker not in self.asked_to_go
                    self.sent.setdefault(worker, []).extend(items(batch))
                case Stop(worker) | Terminate(worker) | Kill(worker):
                    self.asked_to_go.add(worker)
                case Grant(worker, waiter):
                    assert waiter.granted == worker
                    self.waiters.remove(waiter)
                    self.leased.append(worker)
                case Lost(batch):
                    assert len(batch) == 1
                    self.end(items(batch))
                case Drop(batch):
                    self.end(items(batch))

    def end(self, names: list[str]) -> None:
        self.ends.update(names)

    def workers(self, *states: WorkerState) -> list[int]:
        return [slot.id for slot in self.scheduler.slots.values() if slot.state in states]

    def pick(self, data: Any, *states: WorkerState) -> int:
        worker = data.draw(st.sampled_from(self.workers(*states)), label="worker")
        assert isinstance(worker, int)
        return worker

    # -- events ----------------------------------------------------------------------------------

    @initialize(window=st.integers(1, 5), least=st.integers(0, 2), more=st.integers(0, 3))
    def choose_a_policy(self, window: int, least: int, more: int) -> None:
        most = max(least + more, 1)
        policy = Policy(min=least, max=most, spare=most, window=window, max_failures=2)
        self.scheduler = opened(policy)

    @rule(target=jobs, timeout=st.sampled_from([None, 1.0, 10.0]))
    def new_job(self, timeout: float | None) -> NotedJob:
        self.names += 1
        return NotedJob(f"job{self.names}.", timeout)

    @rule(job=jobs, size=st.integers(1, 12))
    @precondition(lambda self: self.scheduler.state not in ENDED_STATES)
    def submit(self, job: NotedJob, size: int) -> None:
        if job.cancelled:
            return
        start = sum(name.startswith(job.name) for name in self.submitted)
        names = [f"{job.name}{start + offset}" for offset in range(size)]
        self.submitted.update(names)
        self.obey(self.scheduler.submit(Batch(job, start, names, self.now), self.now))

    @rule()
    def spawn(self) -> None:
        if self.scheduler.spawn(self.now):
            assert self.scheduler.alive <= self.scheduler.policy.max

    @rule(data=st.data())
    @precondition(lambda self: self.workers(WorkerState.STARTING))
    def ready(self, data: Any) -> None:
        self.obey(self.scheduler.ready(self.pick(data, WorkerState.STARTING), self.now))

    @rule(data=st.data(), count=st.integers(1, 6), more=st.booleans())
    @precondition(lambda self: any(self.sent.values()))
    def answer(self, data: Any, count: int, more: bool) -> None:
        worker = data.draw(st.sampled_from([w for w, names in self.sent.items() if names]))
        mine = self.sent[worker]
        count = count if more else min(count, len(mine))
        expected, self.sent[worker] = mine[:count], mine[count:]
        commands = self.scheduler.answered(worker, count, self.now)
        answered = [name for c in commands if type(c) is Done for name in items(c.batch)]
        assert answered == expected
        self.end(answered)
        self.obey(commands)

    @rule(data=st.data())
    @precondition(lambda self: self.workers(WorkerState.IDLE, WorkerState.BUSY))
    def ended(self, data: Any) -> None:
        worker = self.pick(data, WorkerState.IDLE, WorkerState.BUSY)
        self.asked_to_go.add(worker)
        self.scheduler.ended(worker)

    @rule(data=st.data(), failed_start=st.booleans(), begun=st.booleans())
    @precondition(lambda self: self.scheduler.slots)
    def exit(self, data: Any, failed_start: bool, begun: bool) -> None:
        worker = self.pick(data, *WorkerState)
        slot = self.scheduler.slots[worker]
        had = self.sent.pop(worker, [])
        failed_start = failed_start and slot.state in (WorkerState.STARTING, WorkerState.STOPPING)
        begun = begun and not failed_start
        before = Counter(self.ends)
        commands = self.scheduler.exited(worker, self.now, failed_start=failed_start, begun=begun)
        lost = [command for command in commands if isinstance(command, Lost)]
        assert len(lost) == bool(had and (begun or slot.exit_reason is ExitReason.TIMEOUT))
        if lost:
            assert items(lost[0].batch) == had[:1]
        if worker in self.leased:
            self.leased.remove(worker)
        self.obey(commands)
        assert all(count <= 1 for count in (self.ends - before).values())

    @rule()
    @precondition(lambda self: self.scheduler.state not in ENDED_STATES)
    def lease(self) -> None:
        waiter = LeaseWaiter()
        self.waiters.append(waiter)
        self.obey(self.scheduler.lease(waiter, self.now))

    @rule(data=st.data())
    @precondition(lambda self: self.waiters)
    def abandon(self, data: Any) -> None:
        waiter = data.draw(st.sampled_from(self.waiters))
        self.waiters.remove(waiter)
        assert self.scheduler.abandon(waiter)

    @rule()
    def take(self) -> None:
        slot = self.scheduler.take(self.now)
        if slot is not None:
            self.leased.append(slot.id)

    @rule(data=st.data())
    @precondition(lambda self: self.leased)
    def release(self, data: Any) -> None:
        worker = data.draw(st.sampled_from(self.leased))
        self.leased.remove(worker)
        self.obey(self.scheduler.release(worker, 1, self.now))

    @rule(job=jobs, kill=st.booleans())
    def cancel(self, job: NotedJob, kill: bool) -> None:
        self.obey(self.scheduler.cancel(job, self.now, kill=kill))

    @rule(data=st.data())
    @precondition(lambda self: self.scheduler.slots)
    def kill(self, data: Any) -> None:
        worker = self.pick(data, *WorkerState)
        self.obey(self.scheduler.kill(worker, ExitReason.RESTARTED, self.now))

    @rule(data=st.data())
    @precondition(lambda self: self.scheduler.slots)
    def retire(self, data: Any) -> None:
        self.obey(
            self.scheduler.retire(self.pick(data, *WorkerState), ExitReason.RESTARTED, self.now)
        )

    @rule(least=st.integers(0, 2), more=st.integers(0, 3))
    @precondition(lambda self: self.scheduler.state is not PoolState.CLOSING)
    def resize(self, least: int, more: int) -> None:
        most = max(least + more, 1)
        self.shrunk |= most < self.scheduler.policy.max
        policy = resized(self.scheduler.policy, least, most, most)
        self.obey(self.scheduler.resize(policy, self.now))

    @rule()
    def pause(self) -> None:
        self.scheduler.pause()

    @rule()
    def resume(self) -> None:
        self.obey(self.scheduler.resume(self.now))

    @rule()
    @precondition(lambda self: self.scheduler.state is PoolState.BROKEN)
    def reset(self) -> None:
        self.obey(self.scheduler.reset(self.now))

    @rule(grace=st.none() | SECONDS)
    def close(self, grace: float | None) -> None:
        deadline = None if grace is None else self.now + grace
        self.obey(self.scheduler.close(deadline, self.now))
        self.forget_refused_waiters()

    @rule()
    def kill_all(self) -> None:
        self.obey(self.scheduler.kill_all())
        self.forget_refused_waiters()

    @rule(seconds=SECONDS)
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.obey(self.scheduler.tick(self.now))

    def forget_refused_waiters(self) -> None:
        assert all(waiter.pool_state is not None for waiter in self.waiters)
        self.waiters.clear()

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def the_books_agree(self) -> None:
        check(self.scheduler)
        if self.scheduler.state is PoolState.BROKEN:
            self.waiters = [waiter for waiter in self.waiters if waiter.pool_state is None]

    @invariant()
    def every_item_is_somewhere_and_only_there(self) -> None:
        queued = [name for batch in self.scheduler.queue for name in items(batch)]
        flying = [
            name
            for slot in self.scheduler.slots.values()
            for batch in slot.inflight
            for name in items(batch)
        ]
        places = Counter(queued) + Counter(flying) + self.ends
        assert places == Counter(self.submitted)

    @invariant()
    def a_worker_has_what_it_was_sent(self) -> None:
        for slot in self.scheduler.slots.values():
            flying = [name for batch in slot.inflight for name in items(batch)]
            assert flying == self.sent.get(slot.id, [])

    @invariant()
    def there_are_never_too_many(self) -> None:
        assert self.shrunk or self.scheduler.alive <= self.scheduler.policy.max

    @invariant()
    def whoever_waits_has_been_told_if_in_vain(self) -> None:
        if self.scheduler.state in ENDED_STATES:
            assert not self.scheduler.assignment.waiters

    def teardown(self) -> None:
        """However it went, closing ends every item and every worker."""
        self.obey(self.scheduler.close(self.now, self.now))
        self.now += 1000.0
        self.obey(self.scheduler.tick(self.now))
        for worker in list(self.scheduler.slots):
            self.sent.pop(worker, None)
            self.obey(self.scheduler.exited(worker, self.now))
            check(self.scheduler)
        assert self.scheduler.spawn(self.now) == []
        assert self.ends == Counter(self.submitted)


TestSchedulerMachine = SchedulerMachine.TestCase
