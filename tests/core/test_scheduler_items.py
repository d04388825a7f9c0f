"""What the scheduler says of items and workers at the edges: counters, questions, coming back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from processpool.core.commands import LeaseWaiter, Send
from processpool.core.exit_reason import ExitReason
from processpool.core.exits import TERM_GRACE
from processpool.core.jobs import Batch
from processpool.core.policy import resized
from processpool.core.states import PoolEvent, PoolState, WorkerState
from tests.core.scheduling import Bench, NotedJob, check, items, opened, words

if TYPE_CHECKING:
    from processpool.core.slot import Slot


def busy(items: int = 1, **numbers: Any) -> tuple[Bench, NotedJob]:
    """A pool with one worker, which has been given so many items."""
    bench = Bench(**({"min": 1, "max": 1, "window": 8} | numbers))
    bench.ready_all()
    job = bench.job()
    bench.submit(job, items)
    return bench, job


class TestCounters:
    def test_what_was_done_by_hand_counts(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.take()
        scheduler = bench.scheduler
        assert words(scheduler.release(1, 3, bench.now, failed=2)) == []
        assert (scheduler.finished, scheduler.failures) == (3, 2)
        assert (scheduler.slots[1].handled, scheduler.slots[1].failed) == (3, 2)
        bench.take()
        assert words(scheduler.kill(1, ExitReason.LEASE_FAILED, bench.now, 4, 1)) == ["kill 1"]
        assert (scheduler.finished, scheduler.failures) == (7, 3)
        assert (scheduler.slots[1].handled, scheduler.slots[1].failed) == (7, 3)
        bench.exited(1)
        assert scheduler.release(1, 1, bench.now, failed=1) == []
        assert (scheduler.finished, scheduler.failures) == (8, 4)

    def test_answers_count_for_their_worker(self) -> None:
        bench, _ = busy(3)
        bench.answered(1, 2, failed=1)
        slot = bench.scheduler.slots[1]
        assert (slot.handled, slot.failed, slot.load) == (2, 1, 1)
        bench.answered(1, failed=1)
        assert (slot.handled, slot.failed, bench.scheduler.failures) == (3, 2, 2)
        assert bench.scheduler.finished == 3

    def test_a_lost_item_counts_as_failed_and_one_that_is_tried_again_does_not(self) -> None:
        bench, _ = busy(1, attempts=2, retry_on=frozenset({"crash"}))
        slot = bench.scheduler.slots[1]
        assert bench.exited(1) == ["retry a0: None"]
        assert (slot.failed, bench.scheduler.failures) == (1, 0)
        bench.ready_all()
        bench.after(1.0)
        assert bench.exited(2) == ["lost a0: None"]
        assert bench.scheduler.failures == 1

    def test_running_is_what_workers_have(self) -> None:
        bench, _ = busy(3)
        assert bench.scheduler.running == 3
        bench.scheduler.running += 1
        assert bench.scheduler.fleet.running == 4

    def test_a_batch_knows_how_often_and_when_it_was_handed_over(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        job = bench.job()
        batch = Batch(job, 0, ["a0"], 1.0)
        (send,) = bench.scheduler.submit(batch, bench.now)
        assert isinstance(send, Send)
        assert (send.batch.attempts, send.batch.sent_at, job.begun) == (1, bench.now, True)


class TestQuestions:
    def test_starting(self) -> None:
        bench = Bench(min=2, max=3)
        assert bench.scheduler.starting == 2
        bench.start_all()
        assert bench.scheduler.starting == 2
        bench.submit(bench.job(), 9)
        assert bench.scheduler.starting == 3
        bench.ready_all()
        assert bench.scheduler.starting == 2, "those that are not ready yet"
        bench.ready(1)
        bench.ready(2)
        assert bench.scheduler.starting == 0

    def test_has_work(self) -> None:
        bench = Bench(min=0, max=1, attempts=2, retry_on=frozenset({"crash"}))
        assert not bench.scheduler.has_work
        bench.submit(bench.job())
        assert bench.scheduler.has_work
        bench.ready_all()
        assert (bench.scheduler.queued, bench.scheduler.has_work) == (0, True)
        bench.exited(1)
        assert (bench.scheduler.running, bench.scheduler.has_work) == (0, True)
        bench.after(1.0)
        assert bench.ready_all() == ["send 2 a0"]
        bench.answered(2)
        assert not bench.scheduler.has_work

    def test_wants_idle(self) -> None:
        bench = Bench(min=1, max=1)
        assert not bench.scheduler.wants_idle
        bench.lease()
        assert bench.scheduler.wants_idle
        bench.ready_all()
        assert not bench.scheduler.wants_idle
        bench.submit(bench.job())
        assert bench.scheduler.wants_idle
        bench.release(1)
        assert not bench.scheduler.wants_idle
        bench.scheduler.pause()
        assert bench.scheduler.wants_idle
        assert Bench(recycle_requests=5).scheduler.wants_idle

    def test_keeps(self) -> None:
        bench, job = busy(1, window=1, attempts=2, retry_on=frozenset({"crash"}))
        assert not bench.scheduler.keeps(job)
        bench.submit(job, start=1)
        assert bench.scheduler.keeps(job)
        bench.scheduler.cancel(job, bench.now, kill=False)
        assert not bench.scheduler.keeps(job)
        bench, job = busy(1, window=1, attempts=2, retry_on=frozenset({"crash"}))
        bench.exited(1)
        assert bench.scheduler.keeps(job), "it waits to be tried again"

    def test_who_holds_an_item_behind_another(self) -> None:
        bench, first = busy(1)
        second, third = bench.jobs(2)
        assert bench.scheduler.holder(first) is None
        bench.submit(second)
        assert bench.scheduler.holder(second) == 1
        assert bench.scheduler.holder(third) is None

    def test_whether_somebody_is_free_for_what_is_not_begun(self) -> None:
        bench, job = busy(2, min=2, max=2)
        bench.submit(job, 2, start=2)
        (one, two) = bench.scheduler.slots
        assert not bench.scheduler.can_share(one), "nobody is free"
        bench.answered(two, 9)
        assert bench.scheduler.can_share(one)
        bench.answered(one)
        assert not bench.scheduler.can_share(one), "it has but one"
        bench, _ = busy(9, min=2, max=2, window=4)
        bench.scheduler.ended(2)
        assert not bench.scheduler.can_share(1), "the queue comes first"

    def test_kills_are_forgiven_once(self) -> None:
        bench = Bench(min=1, max=1)
        assert bench.scheduler.forgives_kills
        bench.start_all()
        bench.scheduler.exited(1, bench.now, failed_start=True, killed=True)
        assert not bench.scheduler.forgives_kills
        assert bench.start_all() == [2], "at once"
        bench.ready(2)
        assert bench.scheduler.forgives_kills

    def test_when_it_is_to_be_asked_again(self) -> None:
        bench = Bench(min=1, max=1, start=None)
        assert bench.scheduler.next_start == 0.0, "a worker is wanted"
        bench.start_all()
        assert bench.scheduler.next_start is None
        assert bench.scheduler.next_deadline is None
        bench.close(grace=7.0)
        assert bench.scheduler.next_deadline == bench.now + 7.0


class TestGivenBack:
    def test_all_of_a_batch(self) -> None:
        bench, _ = busy(3)
        out = words(bench.scheduler.given_back(1, bench.now))
        assert out == ["send 1 a0 a1 a2"]
        assert bench.scheduler.slots[1].inflight[0].attempts == 1

    def test_the_rest_goes_to_somebody_who_is_free(self) -> None:
        bench = Bench(min=2, max=2, window=8)
        bench.start_all()
        bench.ready(1)
        bench.submit(bench.job(), 2)
        slot = bench.scheduler.slots[1]
        assert [len(batch) for batch in slot.inflight] == [1, 1]
        bench.ready(2)
        assert bench.answered(1) == ["done a0"]
        assert words(bench.scheduler.given_back(1, bench.now)) == ["send 1 a1"]

    def test_keeping_one(self) -> None:
        bench, _ = busy(4)
        bench.scheduler.pause()
        assert words(bench.scheduler.given_back(1, bench.now, keep=1)) == []
        assert [list(batch.payloads) for batch in bench.scheduler.slots[1].inflight] == [["a0"]]
        assert (bench.scheduler.running, bench.scheduler.queued) == (1, 3)
        assert bench.state(1) is WorkerState.BUSY

    def test_keeping_none_it_is_idle(self) -> None:
        bench, _ = busy(4)
        bench.scheduler.pause()
        assert words(bench.scheduler.given_back(1, bench.now, singly=True)) == []
        assert bench.state(1) is WorkerState.IDLE
        assert [len(batch) for batch in bench.scheduler.queue] == [1, 1, 1, 1]
        assert bench.scheduler.given_back(1, bench.now) == [], "it has nothing more to give back"

    def test_from_one_that_is_on_its_way_out(self) -> None:
        bench, _ = busy(2)
        bench.kill(1)
        assert words(bench.scheduler.given_back(1, bench.now)) == []
        assert bench.scheduler.queued == 2
        assert bench.exited(1) == []

    def test_taken_back_from_one_that_is_gone(self) -> None:
        bench, _ = busy(2)
        batches = list(bench.scheduler.slots[1].inflight)
        bench.exited(1, begun=False)
        assert bench.scheduler.taken_back(1, batches, bench.now) == []
        assert bench.scheduler.queued == 2

    def test_only_what_it_still_has_is_taken_back(self) -> None:
        bench, job = busy(1)
        bench.submit(job, start=1)
        bench.submit(job, start=2)
        first, second, third = bench.scheduler.slots[1].inflight
        bench.answered(1)
        bench.scheduler.pause()
        assert words(bench.scheduler.taken_back(1, [first, third], bench.now)) == []
        assert list(bench.scheduler.slots[1].inflight) == [second]
        assert (bench.scheduler.running, bench.scheduler.queued) == (1, 1)


class TestTime:
    def test_while_a_slow_start_is_being_ended_no_other_one_begins(self) -> None:
        bench = Bench(min=1, max=1, start=5, backoff=(1.0, 4.0))
        bench.start_all()
        assert bench.after(5) == ["kill 1"]
        assert bench.start_all() == []
        bench.after(1)
        assert bench.start_all() == [2]

    def test_an_idle_pool_at_min_is_not_woken(self) -> None:
        bench = Bench(min=2, max=4, spare=4, idle=60)
        bench.ready_all()
        assert bench.scheduler.next_deadline is not None, "the first one came when there was one"
        bench.submit(bench.job(), 2)
        bench.answered(1)
        bench.answered(2)
        assert [slot.deadline for slot in bench.scheduler.slots.values()] == [None, None]

    def test_one_more_than_min_is(self) -> None:
        bench = Bench(min=1, max=2, idle=60)
        bench.submit(bench.job(), 2)
        bench.ready_all()
        bench.answered(1)
        assert bench.scheduler.slots[1].deadline == bench.now + 60

    def test_exactly_spare_idle_workers_stay(self) -> None:
        bench = Bench(min=0, max=2, spare=1, idle=60)
        bench.submit(bench.job(), 2)
        bench.ready_all()
        bench.answered(1)
        assert bench.scheduler.slots[1].deadline == bench.now + 60
        bench.answered(2)
        assert bench.scheduler.slots[2].deadline == bench.now + 1

    def test_the_surplus_never_stays_longer_than_the_idle(self) -> None:
        bench = Bench(min=0, max=2, spare=0, idle=0.5)
        bench.submit(bench.job())
        bench.ready_all()
        bench.answered(1)
        assert bench.after(0.5) == ["stop 1"]

    def test_an_old_worker_is_looked_at_when_its_time_comes(self) -> None:
        bench = Bench(min=0, max=1, idle=60, recycle_age=20)
        bench.submit(bench.job())
        bench.ready_all()
        bench.after(5)
        bench.answered(1)
        assert bench.scheduler.slots[1].deadline == bench.now + 15
        assert bench.after(15) == []
        assert bench.scheduler.slots[1].expiring
        assert bench.scheduler.fleet.expiring == 1

    def test_a_resize_looks_at_the_idle_again(self) -> None:
        bench = Bench(min=2, max=2, idle=60)
        bench.ready_all()
        bench.after(100)
        bench.scheduler.resize(resized(bench.policy, 0, 2, 0), bench.now)
        assert bench.after(1) == ["stop 1", "stop 2"]

    def test_a_close_deadline_at_its_very_moment(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.lease()
        bench.close(grace=0.0)
        assert words(bench.scheduler.tick(bench.now)) == ["terminate 1"]
        assert bench.scheduler.close_deadline is None
        assert bench.after(TERM_GRACE) == ["kill 1"]


class TestCancelling:
    def test_with_kill_what_comes_first_on_a_worker_ends_it(self) -> None:
        bench, first = busy(1)
        second = bench.job()
        second.number = 7
        bench.submit(second)
        assert bench.cancel(second, kill=True) == []
        assert bench.answered(1) == ["done a0", "kill 1"]
        assert bench.exited(1) == ["lost b0: cancelled"]
        assert not first.killed

    def test_a_single_item_that_could_not_be_taken_back_has_begun(self) -> None:
        bench, _ = busy(1, takes_back=True)
        second = bench.job()
        bench.submit(second)
        assert bench.cancel(second, kill=True) == ["kill 1"]

    def test_a_kill_is_not_undone_by_a_cancel(self) -> None:
        bench, job = busy(1)
        bench.cancel(job, kill=True)
        bench.cancel(job)
        assert job.killed

    def test_without_kill_workers_are_asked_for_what_they_have_not_begun(self) -> None:
        bench, job = busy(4, takes_back=True)
        other = bench.job()
        assert bench.cancel(other) == []
        assert bench.cancel(job) == ["ask back 1"]
        bench.kill(1)
        assert bench.cancel(job) == []
        bench, job = busy(4)
        assert bench.cancel(job) == [], "where they cannot give it back"


class TestTheLife:
    def test_only_an_open_pool_can_be_paused_and_only_a_paused_one_resumed(self) -> None:
        bench = Bench()
        assert bench.scheduler.resume(bench.now) == []
        assert bench.pool_state() is PoolState.OPEN
        bench.close()
        assert bench.scheduler.pause() == []
        assert bench.pool_state() is PoolState.CLOSING

    def test_a_reset_of_a_pool_that_is_not_broken_starts_what_waits(self) -> None:
        bench = Bench(min=1, max=1)
        bench.start_all()
        bench.exited(1, failed_start=True)
        assert bench.start_all() == []
        bench.scheduler.reset(bench.now)
        assert bench.start_all() == [2]

    def test_one_that_was_closed_while_it_opened_stays_so(self) -> None:
        bench = Bench()
        bench.scheduler.state = PoolState.OPENING
        bench.close()
        bench.scheduler.opened(bench.now)
        assert bench.pool_state() is PoolState.CLOSING

    def test_it_hands_out_what_came_while_it_opened(self) -> None:
        bench = Bench(min=1, max=1)
        bench.scheduler.state = PoolState.OPENING
        bench.ready_all()
        assert bench.submit(bench.job()) == []
        assert words(bench.scheduler.opened(bench.now)) == ["send 1 a0"]

    @pytest.mark.parametrize("event", [PoolEvent.CLOSED, PoolEvent.FORKED])
    def test_when_it_is_over_there_is_nothing_to_kill(self, event: PoolEvent) -> None:
        scheduler = opened(Bench().policy)
        scheduler.close(None, 0.0)
        scheduler.change(event)
        assert scheduler.kill_all() == []
        assert scheduler.spawn(0.0) == []

    def test_kill_forgets_the_deadline(self) -> None:
        bench, _ = busy(1)
        bench.close(grace=5)
        assert words(bench.scheduler.kill_all()) == ["kill 1"]
        assert bench.scheduler.close_deadline is None

    def test_starting_workers_of_a_pool_that_closes_with_work_go_on(self) -> None:
        bench = Bench(min=2, max=2)
        bench.start_all()
        bench.ready(1)
        bench.submit(bench.job(), 2)
        assert bench.close() == []
        assert bench.answered(1) == ["done a0", "send 1 a1", "kill 2"]

    def test_a_pool_with_a_worker_on_its_way_up_is_broken_all_the_same(self) -> None:
        bench = Bench(min=2, max=2, max_failures=0)
        bench.start_all()
        bench.exited(1, failed_start=True)
        assert bench.pool_state() is PoolState.BROKEN
        bench.exited(2, failed_start=True)
        assert bench.pool_state() is PoolState.BROKEN

    def test_killed_starts_break_it_only_in_a_row(self) -> None:
        bench = Bench(min=1, max=1, max_failures=1, backoff=(0.0, 0.0))
        for number in (1, 2):
            bench.start_all()
            bench.scheduler.exited(number, bench.now, failed_start=True, killed=True)
        assert bench.pool_state() is PoolState.BROKEN

    def test_after_the_deadline_what_comes_back_is_dropped(self) -> None:
        bench, _ = busy(3)
        bench.close(grace=1)
        bench.after(1)
        assert bench.exited(1, begun=False) == ["drop a0 a1 a2: closing"]


class TestFollowing:
    """The short way does what `answered` does, or nothing."""

    def twins(self) -> tuple[Bench, Bench, list[NotedJob]]:
        (one, job), (other, twin) = busy(3, window=1), busy(3, window=1)
        return one, other, [job, twin]

    @pytest.mark.parametrize("timeout", [None, 7.0])
    def test_the_next_item_as_after_an_answer(self, timeout: float | None) -> None:
        short, long, jobs = self.twins()
        for bench, job in zip((short, long), jobs, strict=True):
            job.timeout = timeout
            bench.now += 2.0
        slot = short.scheduler.slots[1]
        batch = short.scheduler.follow(slot, short.now)
        assert batch is not None
        assert long.answered(1) == ["done a0", "send 1 a1"]
        check(short.scheduler)
        twin = long.scheduler.slots[1]
        assert slot.inflight[0] is batch
        assert items(batch) == items(twin.inflight[0]) == ["a1"]
        assert (slot.handled, slot.since, slot.deadline) == (
            twin.handled,
            twin.since,
            twin.deadline,
        )
        assert (batch.attempts, batch.sent_at) == (1, short.now)
        assert short.scheduler.finished == long.scheduler.finished == 1
        assert short.scheduler.running == long.scheduler.running == 1
        assert short.scheduler.queued == long.scheduler.queued == 1

    def test_another_job_whose_turn_it_is(self) -> None:
        bench, _ = busy(3, window=1)
        second = bench.job()
        bench.submit(second)
        slot = bench.scheduler.slots[1]
        bench.scheduler.follow(slot, bench.now)
        assert bench.scheduler.queue.first.job is second
        assert not second.begun
        followed = bench.scheduler.follow(slot, bench.now)
        assert followed is not None
        assert items(followed) == ["b0"]
        assert second.begun

    def prevent(self, bench: Bench, job: NotedJob, what: str) -> None:
        scheduler = bench.scheduler
        match what:
            case "nothing waits":
                scheduler.queue.take(9)
            case "it has two items":
                scheduler.slots[1].load = 2
            case "it is retiring":
                scheduler.slots[1].retiring = ExitReason.RESTARTED
            case "it is on its way out":
                bench.kill(1)
            case "somebody waits for a lease":
                bench.lease()
            case "the pool is paused":
                scheduler.pause()
            case "the next is cancelled":
                job.cancelled = True
            case "its item was killed":
                job.killed = job.cancelled = True
            case "it may have more":
                job.window = 2

    @pytest.mark.parametrize(
        "what",
        [
            "nothing waits",
            "it has two items",
            "it is retiring",
            "it is on its way out",
            "somebody waits for a lease",
            "the pool is paused",
            "the next is cancelled",
            "its item was killed",
            "it may have more",
        ],
    )
    def test_whatever_is_not_as_usual_decides_nothing(self, what: str) -> None:
        bench, job = busy(3, window=1)
        self.prevent(bench, job, what)
        slot = bench.scheduler.slots[1]
        before = slot.inflight[0]
        assert bench.scheduler.follow(slot, bench.now) is None
        assert slot.inflight[0] is before
        assert (slot.handled, bench.scheduler.finished) == (0, 0)

    @pytest.mark.parametrize(
        "numbers", [{"recycle_requests": 9}, {"recycle_age": 9.0}, {"recycle_memory": 9}]
    )
    def test_nor_where_workers_are_recycled(self, numbers: dict[str, Any]) -> None:
        bench, _ = busy(3, window=1, **numbers)
        assert bench.scheduler.follow(bench.scheduler.slots[1], bench.now) is None


class TestEnds:
    def test_a_call_takes_no_worker_that_somebody_waits_for(self) -> None:
        bench = Bench(min=2, max=2)
        bench.ready_all()
        bench.scheduler.assignment.waiters.append(LeaseWaiter())
        bench.scheduler.assignment.note_others()
        assert bench.scheduler.take(bench.now) is None

    def test_a_single_item_that_could_not_even_be_read_is_lost(self) -> None:
        bench, _ = busy(1)
        out = words(bench.scheduler.exited(1, bench.now, begun=False, singly=True))
        assert out == ["lost a0: None"]

    def test_a_worker_that_retires_with_room_left_is_given_nothing(self) -> None:
        bench, job = busy(1)
        assert 1 in bench.scheduler.fleet.has_capacity
        bench.retire(1)
        assert bench.submit(job, start=1) == []
        assert bench.answered(1) == ["done a0", "stop 1"]

    def test_by_default_nothing_was_handled(self) -> None:
        bench, _ = busy(1)
        bench.kill(1)
        slot = bench.scheduler.slots[1]
        assert (slot.handled, slot.failed) == (0, 0)
        assert (bench.scheduler.finished, bench.scheduler.failures) == (0, 0)

    def test_nor_failed(self) -> None:
        bench, _ = busy(1)
        bench.scheduler.answered(1, 1, bench.now)
        bench.take()
        bench.scheduler.release(1, 1, bench.now)
        assert bench.scheduler.failures == 0


class TestBeginningAndFinishing:
    """The short way of single items does what the long way would, or nothing."""

    def begin(self, bench: Bench, job: NotedJob) -> Slot | None:
        batch = Batch(job, 0, [f"{job.name}0"], bench.now)
        slot = bench.scheduler.begin(batch, bench.now)
        check(bench.scheduler)
        return slot

    @pytest.mark.parametrize("window", [1, 4])
    @pytest.mark.parametrize("timeout", [None, 7.0])
    def test_one_begins_as_if_it_were_submitted(self, window: int, timeout: float | None) -> None:
        short, long = (Bench(min=1, max=1, window=window) for _ in range(2))
        for bench in (short, long):
            bench.ready_all()
        job, twin = short.job(timeout), long.job(timeout)
        slot = self.begin(short, job)
        long.submit(twin)
        other = long.scheduler.slots[1]
        assert slot is short.scheduler.slots[1]
        assert slot is not None
        assert (slot.load, slot.since, slot.deadline) == (1, other.since, other.deadline)
        assert (slot.state, job.begun) == (other.state, True)
        assert slot.inflight[0].attempts == 1
        assert slot.inflight[0].sent_at == short.now
        assert short.scheduler.running == 1
        assert short.scheduler.fleet.has_capacity.keys() == long.scheduler.fleet.has_capacity.keys()

    def test_one_finishes_as_if_it_were_answered(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        slot = self.begin(bench, bench.job(7.0))
        assert slot is not None
        assert bench.scheduler.finish(slot, bench.now) == []
        check(bench.scheduler)
        assert (slot.handled, bench.scheduler.finished, bench.scheduler.running) == (1, 1, 0)
        assert (slot.state, slot.deadline) == (WorkerState.IDLE, None)
        assert bench.scheduler.finish(slot, bench.now) is None

    def test_a_retired_worker_stops_when_it_has_finished(self) -> None:
        bench, _ = busy(1)
        bench.retire(1)
        done = bench.scheduler.finish(bench.scheduler.slots[1], bench.now)
        assert done is not None
        assert words(done) == ["stop 1"]

    @pytest.mark.parametrize("what", ["cancelled", "paused", "lease", "busy", "recycled", "queue"])
    def test_what_is_not_as_usual_begins_nothing(self, what: str) -> None:
        bench = Bench(min=1, max=1, recycle_requests=9 if what == "recycled" else None)
        bench.ready_all()
        job = bench.job()
        match what:
            case "cancelled":
                bench.cancel(job)
            case "paused":
                bench.scheduler.pause()
            case "lease":
                bench.scheduler.assignment.waiters.append(LeaseWaiter())
                bench.scheduler.assignment.note_others()
            case "busy":
                bench.take()
            case "queue":
                bench.scheduler.queue.append(Batch(bench.job(), 0, ["b0"], 0.0))
        assert bench.scheduler.begin(Batch(job, 0, ["a0"], 0.0), bench.now) is None
        assert not job.begun
        assert bench.scheduler.running == 0

    @pytest.mark.parametrize("what", ["two", "killed", "queue", "lease", "closing", "recycled"])
    def test_nor_finishes(self, what: str) -> None:
        bench, job = busy(
            2 if what == "two" else 1, recycle_age=9.0 if what == "recycled" else None
        )
        match what:
            case "killed":
                job.killed = job.cancelled = True
            case "queue":
                bench.scheduler.queue.append(Batch(bench.job(), 0, ["b0"], 0.0))
            case "lease":
                bench.lease()
            case "closing":
                bench.close()
        slot = bench.scheduler.slots[1]
        assert bench.scheduler.finish(slot, bench.now) is None
        assert (slot.handled, len(slot.inflight)) == (0, 1)


def test_it_is_known_since_when_an_item_runs() -> None:
    bench = Bench(window=2)
    (worker,) = bench.start_all()
    bench.ready(worker)
    bench.after(1.0)
    bench.submit(bench.job(), size=2)
    assert bench.scheduler.slots[worker].since == 101.0
    bench.after(2.0)
    bench.answered(worker)
    assert bench.scheduler.slots[worker].since == 103.0
    bench.after(4.0)
    bench.answered(worker)
    assert bench.scheduler.slots[worker].since == 107.0


def test_the_time_limit_of_an_item_is_not_that_of_an_idle_worker() -> None:
    bench = Bench(idle=300.0)
    (first,) = bench.start_all()
    bench.ready(first)
    timed = bench.job(timeout=5.0)
    bench.submit(timed)
    bench.answered(first)
    bench.submit(bench.job(), size=2)
    bench.ready_all()
    assert bench.after(10.0) == []


class TestFollowingARun:
    """Answers to items that were sent ahead: done as by `answered`, or not at all."""

    def bench(self, waiting: int = 20) -> Bench:
        bench = Bench(min=1, max=1, window=4)
        bench.submit(bench.job(), size=4 + waiting)
        bench.ready_all()
        return bench

    @pytest.mark.parametrize(("answers", "sent"), [(4, "a4 a5 a6 a7"), (2, "a4 a5"), (1, "")])
    def test_as_after_an_answer(self, answers: int, sent: str) -> None:
        short, long = self.bench(), self.bench()
        for bench in (short, long):
            bench.now += 2.0
        slot, twin = short.scheduler.slots[1], long.scheduler.slots[1]
        step = short.scheduler.follow_run(slot, answers, short.now)
        assert step is not None
        ended, following = step
        check(short.scheduler)
        said = [f"done {' '.join(items(batch))}" for batch in ended]
        if following is not None:
            said.append(f"send 1 {' '.join(items(following))}")
            assert (following.attempts, following.sent_at) == (1, short.now)
        assert said == long.answered(1, answers)
        assert said[len(ended) :] == [f"send 1 {sent}"] * bool(sent)
        assert list(map(items, slot.inflight)) == list(map(items, twin.inflight))
        assert (slot.handled, slot.since, slot.load) == (twin.handled, twin.since, twin.load)
        assert short.scheduler.finished == long.scheduler.finished == answers
        assert short.scheduler.queued == long.scheduler.queued

    @pytest.mark.parametrize("waiting", [0, 3])
    def test_the_last_items_are_shared_out_the_long_way(self, waiting: int) -> None:
        bench = self.bench(waiting)
        slot = bench.scheduler.slots[1]
        assert bench.scheduler.follow_run(slot, 4, bench.now) is None
        check(bench.scheduler)
        assert bench.answered(1, 4)[0] == "done a0 a1 a2 a3"

    def test_a_retiring_worker_gets_nothing(self) -> None:
        bench = self.bench()
        bench.retire(1)
        assert bench.scheduler.follow_run(bench.scheduler.slots[1], 4, bench.now) is None

    def test_the_rest_of_a_cancelled_map_is_not_sent(self) -> None:
        bench = self.bench()
        bench.cancel(bench.scheduler.queue.first.job)
        assert bench.scheduler.follow_run(bench.scheduler.slots[1], 4, bench.now) is None

    def test_more_answers_than_it_has_items(self) -> None:
        bench = self.bench()
        assert bench.scheduler.follow_run(bench.scheduler.slots[1], 5, bench.now) is None
