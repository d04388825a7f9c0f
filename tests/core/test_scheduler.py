"""The decisions of a pool: events in, commands out, compared as lists.

No process, no thread, no sleeping; time is a number. After every event the books are checked.
"""

from __future__ import annotations

import pytest

from processpool.core.policy import Policy, resized
from processpool.core.states import PoolState, WorkerState
from tests.core.scheduling import Bench, check


def running(bench: Bench, workers: int) -> None:
    """Bring so many workers to idle, the first one parked first."""
    policy = resized(bench.policy, workers, None, None)
    bench.scheduler.resize(policy, bench.now)
    bench.ready_all()
    bench.scheduler.resize(bench.policy, bench.now)
    check(bench.scheduler)


class TestStarting:
    def test_min_workers_are_wanted_from_the_start(self) -> None:
        bench = Bench(min=3, max=5)
        assert bench.start_all() == [1, 2, 3]
        assert bench.start_all() == []

    def test_work_waits_until_a_worker_is_ready(self) -> None:
        bench = Bench(min=1, max=1)
        a = bench.job()
        bench.start_all()
        assert bench.submit(a, 2) == []
        assert bench.ready(1) == ["send 1 a0"]

    def test_more_are_started_only_for_items_that_wait(self) -> None:
        bench = Bench(min=1, max=9)
        bench.ready_all()
        a = bench.job()
        bench.submit(a)
        assert bench.start_all() == [], "the one item has its worker"
        bench.submit(a, 3, start=1)
        assert bench.start_all() == [2, 3, 4]

    def test_starting_workers_count_as_help_on_the_way(self) -> None:
        bench = Bench(min=0, max=9)
        bench.submit(bench.job())
        assert bench.start_all() == [1]
        assert bench.start_all() == []

    def test_never_more_than_max(self) -> None:
        bench = Bench(min=1, max=3)
        bench.submit(bench.job(), 100)
        assert bench.start_all() == [1, 2, 3]

    def test_a_worker_on_its_way_out_makes_room(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        assert bench.kill(1) == ["kill 1"]
        assert bench.start_all() == [2]

    def test_ready_is_told_once(self) -> None:
        bench = Bench()
        bench.ready_all()
        assert bench.ready(1) == []

    def test_a_start_that_takes_too_long_is_ended(self) -> None:
        bench = Bench(start=30)
        bench.start_all()
        assert bench.after(29) == []
        assert bench.after(1) == ["kill 1"]
        assert bench.scheduler.slots[1].exit_reason == "start timeout"

    def test_without_a_limit_a_start_may_take_for_ever(self) -> None:
        bench = Bench(start=None)
        bench.start_all()
        assert bench.scheduler.next_deadline is None


class TestAssigning:
    def test_the_worker_that_was_busy_last_gets_the_next_item(self) -> None:
        bench = Bench(min=3, max=3)
        bench.ready_all()
        a = bench.job()
        bench.submit(a, 3)
        for worker in (2, 3, 1):
            bench.answered(worker)
        assert bench.submit(a, 2, start=3) == ["send 1 a3", "send 3 a4"]

    def test_items_go_out_in_the_order_in_which_they_came(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        a, b = bench.job(), bench.job()
        assert bench.submit(a, 2) == ["send 1 a0"]
        assert bench.submit(b) == []
        assert bench.answered(1) == ["done a0", "send 1 a1"]
        assert bench.answered(1) == ["done a1", "send 1 b0"]
        assert bench.answered(1) == ["done b0"]
        assert bench.state(1) is WorkerState.IDLE

    def test_a_batch_is_shared_fairly(self) -> None:
        bench = Bench(min=3, max=3, window=8)
        bench.ready_all()
        assert bench.submit(bench.job(), 8) == [
            "send 3 a0 a1 a2",
            "send 2 a3 a4 a5",
            "send 1 a6 a7",
        ]

    def test_workers_that_are_starting_get_their_share(self) -> None:
        bench = Bench(min=2, max=2, window=8)
        bench.start_all()
        bench.ready(1)
        a = bench.job()
        assert bench.submit(a, 4) == ["send 1 a0 a1", "send 1 a2", "send 1 a3"]

    def test_no_worker_gets_more_than_its_window(self) -> None:
        bench = Bench(min=2, max=2, window=4)
        bench.ready_all()
        assert bench.submit(bench.job(), 20) == ["send 2 a0 a1 a2 a3", "send 1 a4 a5 a6 a7"]
        assert bench.scheduler.queued == 12
        assert bench.scheduler.running == 8

    def test_idle_workers_come_before_busy_ones_with_room(self) -> None:
        bench = Bench(min=2, max=2, window=4)
        bench.ready_all()
        a = bench.job()
        assert bench.submit(a) == ["send 2 a0"]
        assert bench.submit(a, start=1) == ["send 1 a1"]
        assert bench.submit(a, start=2) == ["send 2 a2"]


class TestWindow:
    def test_it_is_refilled_when_half_of_it_is_answered(self) -> None:
        bench = Bench(min=1, max=1, window=4)
        bench.ready_all()
        bench.submit(bench.job(), 10)
        assert bench.answered(1) == ["done a0"]
        assert bench.answered(1) == ["done a1", "send 1 a4 a5"]
        assert bench.answered(1, 4) == ["done a2 a3", "done a4 a5", "send 1 a6 a7 a8 a9"]

    def test_answers_may_end_in_the_middle_of_a_batch(self) -> None:
        bench = Bench(min=1, max=1, window=4)
        bench.ready_all()
        bench.submit(bench.job(), 4)
        assert bench.answered(1, 3) == ["done a0 a1 a2"]
        assert bench.answered(1) == ["done a3"]

    def test_answers_beyond_what_was_asked_are_nobodys(self) -> None:
        bench = Bench(min=1, max=1, window=4)
        bench.ready_all()
        bench.submit(bench.job(), 2)
        assert bench.answered(1, 5) == ["done a0 a1"]
        assert bench.scheduler.finished == 2

    def test_a_worker_that_is_retiring_is_not_refilled(self) -> None:
        bench = Bench(min=1, max=1, window=4)
        bench.ready_all()
        bench.submit(bench.job(), 6)
        assert bench.retire(1) == []
        assert bench.answered(1, 3) == ["done a0 a1 a2"]
        assert bench.answered(1) == ["done a3", "stop 1"]


class TestSpare:
    def test_a_surplus_worker_lingers_and_is_then_retired(self) -> None:
        bench = Bench(min=0, max=3, spare=1)
        bench.submit(bench.job(), 3)
        bench.ready_all()
        for worker in (1, 2, 3):
            assert bench.answered(worker)[1:] == []
        assert bench.after(0.5) == []
        assert bench.after(0.5) == ["stop 2", "stop 3"]
        assert bench.state(1) is WorkerState.IDLE

    def test_a_surplus_worker_that_is_used_again_in_time_stays(self) -> None:
        bench = Bench(min=0, max=2, spare=1)
        a = bench.job()
        bench.submit(a, 2)
        bench.ready_all()
        bench.answered(1)
        bench.answered(2)
        bench.after(0.9)
        assert bench.submit(a, start=2) == ["send 2 a2"]
        assert bench.after(10) == []

    def test_an_idle_worker_is_retired_after_its_time_but_min_stay(self) -> None:
        bench = Bench(min=1, max=3, idle=60)
        bench.submit(bench.job(), 3)
        bench.ready_all()
        for worker in (1, 2, 3):
            bench.answered(worker)
        assert bench.after(59) == []
        assert bench.after(1) == ["stop 1", "stop 2"]
        assert bench.after(1000) == ["terminate 1", "terminate 2", "kill 1", "kill 2"]
        assert bench.state(3) is WorkerState.IDLE

    def test_with_no_idle_time_nothing_is_retired_within_spare(self) -> None:
        bench = Bench(min=0, max=3, spare=2, idle=None)
        bench.submit(bench.job(), 3)
        bench.ready_all()
        for worker in (1, 2, 3):
            bench.answered(worker)
        assert bench.after(1000)[:1] == ["stop 3"]
        assert [bench.state(1), bench.state(2)] == [WorkerState.IDLE] * 2

    def test_an_idle_pool_at_min_has_no_timer_at_all(self) -> None:
        bench = Bench(min=2, max=4)
        bench.ready_all()
        bench.after(1000)
        assert bench.scheduler.next_deadline is None


class TestTimers:
    def test_the_clock_of_an_item_starts_at_its_hand_over(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        a = bench.job(timeout=10)
        bench.submit(a, 2)
        bench.after(9)
        assert bench.answered(1) == ["done a0", "send 1 a1"]
        assert bench.after(9) == []
        assert bench.after(1) == ["kill 1"]
        assert bench.scheduler.slots[1].exit_reason == "timeout"

    def test_an_old_timer_never_hits_the_next_request(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        a, b = bench.job(timeout=10), bench.job()
        bench.submit(a)
        bench.after(9)
        bench.answered(1)
        bench.submit(b)
        assert bench.after(1000) == []
        assert bench.state(1) is WorkerState.BUSY

    def test_an_old_timer_never_hits_a_lease(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.submit(bench.job(timeout=10))
        bench.after(9)
        bench.answered(1)
        bench.lease()
        assert bench.after(1000) == []
        assert bench.state(1) is WorkerState.LEASED

    def test_an_old_timer_never_hits_a_call(self) -> None:
        bench = Bench(min=0, max=1, idle=5)
        bench.submit(bench.job())
        bench.ready_all()
        bench.answered(1)
        assert bench.take() == 1
        assert bench.after(1000) == []

    def test_in_a_pipeline_each_item_has_the_whole_time(self) -> None:
        bench = Bench(min=1, max=1, window=4)
        bench.ready_all()
        bench.submit(bench.job(timeout=10), 4)
        for item in range(3):
            assert bench.after(9) == []
            assert bench.answered(1)[0] == f"done a{item}"
        assert bench.after(10) == ["kill 1"]

    def test_a_shorter_timeout_behind_a_longer_one_is_kept(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.submit(bench.job(timeout=100))
        bench.after(1)
        bench.answered(1)
        bench.submit(bench.job(timeout=5))
        assert bench.after(5) == ["kill 1"]

    def test_the_exit_ladder(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        assert bench.retire(1) == ["stop 1"]
        assert bench.after(4.5) == []
        assert bench.after(0.5) == ["terminate 1"]
        assert bench.after(0.5) == []
        assert bench.after(0.5) == ["kill 1"]
        assert bench.after(1000) == []

    def test_the_ladder_ends_when_the_worker_does(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.retire(1)
        assert bench.exited(1) == []
        assert bench.after(1000) == []


class TestLeases:
    def test_a_free_worker_is_granted_at_once(self) -> None:
        bench = Bench()
        bench.ready_all()
        waiter, commands = bench.lease()
        assert commands == ["grant 1"]
        assert waiter.granted == 1
        assert bench.state(1) is WorkerState.LEASED

    def test_a_worker_is_started_for_one_who_waits(self) -> None:
        bench = Bench(min=1, max=2)
        bench.ready_all()
        bench.lease()
        waiter, commands = bench.lease()
        assert (waiter.granted, commands) == (None, [])
        assert bench.start_all() == [2]
        assert bench.ready(2) == ["grant 2"]

    def test_at_max_they_wait_in_line(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.lease()
        second, _ = bench.lease()
        third, _ = bench.lease()
        assert bench.start_all() == []
        assert bench.release(1) == ["grant 1"]
        assert (second.granted, third.granted) == (1, None)
        assert bench.scheduler.abandon(third)
        assert bench.release(1) == []

    def test_one_who_waits_comes_before_the_queue(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.lease()
        bench.submit(bench.job())
        bench.lease()
        assert bench.release(1) == ["grant 1"]
        assert bench.release(1) == ["send 1 a0"]

    def test_giving_up_too_late_says_so(self) -> None:
        bench = Bench()
        bench.ready_all()
        waiter, _ = bench.lease()
        assert not bench.scheduler.abandon(waiter)

    def test_giving_up_twice_is_harmless(self) -> None:
        bench = Bench(min=0, max=1)
        waiter, _ = bench.lease()
        assert bench.scheduler.abandon(waiter)
        assert bench.scheduler.abandon(waiter)
        assert bench.start_all() == []

    def test_a_leased_worker_gets_no_items(self) -> None:
        bench = Bench(min=1, max=1, window=4)
        bench.ready_all()
        bench.lease()
        assert bench.submit(bench.job(), 2) == []
        assert bench.release(1, handled=3) == ["send 1 a0 a1"]
        assert bench.scheduler.slots[1].handled == 3

    def test_one_beyond_spare_goes_when_it_is_released(self) -> None:
        bench = Bench(min=0, max=3, spare=1)
        for _ in range(3):
            bench.lease()
        bench.ready_all()
        assert bench.release(1) == []
        assert bench.release(2) == ["stop 2"]
        bench.submit(bench.job(), 9)
        assert bench.release(3) == ["send 3 a1"]

    def test_a_call_takes_only_what_nobody_waits_for(self) -> None:
        bench = Bench(min=1, max=1)
        assert bench.take() is None
        bench.ready_all()
        assert bench.take() == 1
        assert bench.take() is None
        assert bench.release(1) == []
        bench.scheduler.pause()
        assert bench.take() is None

    def test_a_worker_that_was_ended_while_leased_is_not_parked(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.lease()
        bench.kill(1)
        assert bench.release(1) == []
        assert bench.exited(1) == []
        assert bench.start_all() == [2]

    def test_a_release_after_the_worker_is_gone_changes_nothing(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.take()
        bench.kill(1)
        bench.exited(1)
        assert bench.release(1) == []


class TestSteering:
    def test_pause_hands_out_nothing_and_resume_all(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        a = bench.job()
        bench.submit(a)
        bench.scheduler.pause()
        assert bench.submit(a, 2, start=1) == []
        assert bench.answered(1) == ["done a0"]
        assert bench.lease()[1] == []
        assert bench.pool_state() is PoolState.PAUSED
        assert bench._done(bench.scheduler.resume(bench.now)) == ["grant 1"]
        assert bench.release(1) == ["send 1 a1"]

    def test_resize_up_starts_more(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.scheduler.resize(resized(bench.policy, 2, 3, None), bench.now)
        assert bench.start_all() == [2]
        bench.submit(bench.job(), 9)
        assert bench.start_all() == [3]

    def test_resize_down_stops_the_idle_and_the_busy_when_done(self) -> None:
        bench = Bench(min=3, max=3)
        bench.ready_all()
        a = bench.job()
        bench.submit(a, 2)
        policy = resized(bench.policy, 0, 1, 1)
        assert bench._done(bench.scheduler.resize(policy, bench.now)) == ["stop 1"]
        assert bench.answered(3) == ["done a0", "stop 3"]
        assert bench.answered(2) == ["done a1"]
        assert bench.state(2) is WorkerState.IDLE

    def test_resize_down_while_work_waits(self) -> None:
        bench = Bench(min=2, max=2)
        bench.ready_all()
        bench.submit(bench.job(), 4)
        bench.scheduler.resize(resized(bench.policy, 1, 1, 1), bench.now)
        assert bench.answered(2) == ["done a0", "stop 2"]
        assert bench.answered(1) == ["done a1", "send 1 a2"]

    def test_a_retired_worker_finishes_what_it_has(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.submit(bench.job(), 2)
        assert bench.retire(1) == []
        assert bench.answered(1) == ["done a0", "stop 1"]
        assert bench.exited(1) == []
        assert bench.ready_all() == ["send 2 a1"]

    def test_retire_and_kill_of_nobody_are_nothing(self) -> None:
        bench = Bench()
        assert bench.retire(9) == []
        assert bench.kill(9) == []

    def test_a_killed_worker_loses_its_item_with_the_reason(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.submit(bench.job())
        assert bench.kill(1) == ["kill 1"]
        assert bench.exited(1) == ["lost a0: restarted"]

    @pytest.mark.parametrize("how", ["kill", "cancel"])
    def test_an_item_does_not_wait_for_the_end_of_one_that_is_killed(self, how: str) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        a, b = bench.jobs(2)
        bench.submit(a)
        bench.scheduler.expire(1, bench.now)
        assert bench.ready_all() == []
        assert bench.submit(b) == [], "its replacement is ready, but only one may work at a time"
        killed = bench.kill(1) if how == "kill" else bench.cancel(a, kill=True)
        assert killed == ["kill 1", "send 2 b0"]

    def test_sizes_that_contradict_each_other(self) -> None:
        policy = Policy(min=2, max=4, spare=3)
        assert resized(policy, None, None, None) == policy
        assert resized(policy, 6, None, None) == Policy(min=6, max=6, spare=6)
        with pytest.raises(ValueError, match=r"size\.max must be .* size\.min \(2\), got 1"):
            resized(policy, None, 1, None)
        with pytest.raises(ValueError, match=r"size\.spare must be between .* \(2\) .* got 1"):
            resized(policy, None, None, 1)
        with pytest.raises(ValueError, match=r"size\.max must be at least 1"):
            resized(policy, 0, 0, 0)


class TestDeath:
    def test_only_the_running_item_is_lost(self) -> None:
        bench = Bench(min=1, max=1, window=4)
        bench.ready_all()
        bench.submit(bench.job(), 6)
        bench.answered(1)
        assert bench.exited(1) == ["lost a1: None"]
        assert bench.scheduler.queued == 4
        assert bench.ready_all() == ["send 2 a2 a3", "send 2 a4 a5"]

    def test_one_whose_process_has_ended_gets_nothing_more(self) -> None:
        bench = Bench(min=2, max=2, window=2)
        bench.ready_all()
        bench.submit(bench.job(), 2)
        bench.scheduler.ended(2)
        assert bench.submit(bench.job(), 2) == ["send 1 b0"]
        assert bench.answered(2) == ["done a0"]
        bench.scheduler.ended(1)
        assert bench.submit(bench.job()) == []
        assert bench.exited(2) == []
        assert bench.exited(1) == ["lost a1: None"]
        assert bench.ready_all() == ["send 3 b0", "send 3 c0", "send 4 b1"]

    def test_what_was_requeued_comes_first(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        a, b = bench.job(), bench.job()
        bench.submit(a)
        bench.submit(b)
        assert bench.exited(1, begun=False) == []
        assert bench.ready_all() == ["send 2 a0"]
        assert bench.answered(2) == ["done a0", "send 2 b0"]

    def test_untouched_items_are_given_to_another_worker_at_once(self) -> None:
        bench = Bench(min=2, max=2)
        bench.ready_all()
        bench.submit(bench.job())
        assert bench.exited(2, begun=False) == ["send 1 a0"]
        assert bench.scheduler.failures == 0

    def test_an_item_that_ran_out_of_time_is_lost_even_if_it_was_never_read(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.submit(bench.job(timeout=5))
        assert bench.after(5) == ["kill 1"]
        assert bench.exited(1, begun=False) == ["lost a0: timeout"]

    def test_an_idle_worker_that_dies_costs_nothing(self) -> None:
        bench = Bench(min=2, max=2)
        bench.ready_all()
        assert bench.exited(2) == []
        assert bench.submit(bench.job()) == ["send 1 a0"]
        assert bench.start_all() == [3]

    def test_answers_that_came_before_the_end_count(self) -> None:
        bench = Bench(min=1, max=1, window=4)
        bench.ready_all()
        bench.submit(bench.job(), 4)
        bench.kill(1)
        assert bench.answered(1, 2) == ["done a0 a1"]
        assert bench.exited(1) == ["lost a2: restarted"]
        assert bench.scheduler.queued == 1

    def test_the_counters_of_failures(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        a = bench.job()
        bench.submit(a, 3)
        bench.answered(1, failed=1)
        assert bench.scheduler.failures == bench.scheduler.slots[1].failed == 1
        bench.exited(1)
        assert bench.scheduler.failures == 2


class TestFailedStarts:
    def test_each_failure_in_a_row_makes_the_next_start_later(self) -> None:
        bench = Bench(min=1, max=1, max_failures=9, backoff=(1.0, 4.0))
        times = []
        for number in range(1, 6):
            assert bench.start_all() == [number]
            bench.exited(number, failed_start=True)
            assert bench.start_all() == []
            due = bench.scheduler.next_start
            assert due is not None
            times.append(due - bench.now)
            bench.now = due
        assert times == [1.0, 2.0, 4.0, 4.0, 4.0]

    def test_a_healthy_start_forgets_them(self) -> None:
        bench = Bench(min=1, max=1)
        bench.start_all()
        bench.exited(1, failed_start=True)
        bench.after(1)
        bench.ready_all()
        bench.exited(2)
        bench.start_all()
        bench.exited(3, failed_start=True)
        assert bench.scheduler.next_start == bench.now + 1

    def test_too_many_break_the_pool(self) -> None:
        bench = Bench(min=1, max=1, max_failures=2, backoff=(0.0, 0.0))
        a = bench.job()
        bench.submit(a, 2)
        waiter, _ = bench.lease()
        for number in (1, 2):
            bench.start_all()
            assert bench.exited(number, failed_start=True) == []
        bench.start_all()
        assert bench.exited(3, failed_start=True) == ["drop a0 a1: broken"]
        assert bench.pool_state() is PoolState.BROKEN
        assert waiter.pool_state is PoolState.BROKEN
        assert bench.start_all() == []
        assert bench.after(1000) == []
        assert bench.scheduler.next_deadline is None
        assert bench.scheduler.next_start is None

    def test_failures_long_ago_do_not_count(self) -> None:
        bench = Bench(min=1, max=1, max_failures=2, backoff=(0.0, 0.0))
        for number in range(1, 9):
            bench.start_all()
            bench.exited(number, failed_start=True)
            bench.after(6)
        assert bench.pool_state() is PoolState.OPEN

    def test_a_pool_with_a_healthy_worker_does_not_break(self) -> None:
        bench = Bench(min=2, max=2, max_failures=2, backoff=(0.0, 0.0))
        bench.start_all()
        bench.ready(1)
        for number in range(2, 9):
            bench.exited(number, failed_start=True)
            bench.start_all()
        assert bench.pool_state() is PoolState.OPEN
        assert bench.submit(bench.job()) == ["send 1 a0"]

    def test_the_pause_is_bounded_however_many_fail(self) -> None:
        bench = Bench(min=2, max=2, max_failures=2, backoff=(0.5, 4.0))
        bench.start_all()
        bench.ready(1)
        for number in range(2, 1500):
            bench.exited(number, failed_start=True)
            bench.now += 4.0
            assert bench.start_all() == [number + 1]
        assert bench.pool_state() is PoolState.OPEN

    def test_one_healthy_start_mends_a_broken_pool(self) -> None:
        bench = Bench(min=2, max=2, max_failures=0)
        bench.start_all()
        bench.exited(1, failed_start=True)
        assert bench.pool_state() is PoolState.BROKEN
        bench.ready(2)
        assert bench.pool_state() is PoolState.OPEN

    def test_reset_tries_again_at_once(self) -> None:
        bench = Bench(min=1, max=1, max_failures=0)
        bench.start_all()
        bench.exited(1, failed_start=True)
        assert bench.start_all() == []
        bench._done(bench.scheduler.reset(bench.now))
        assert bench.pool_state() is PoolState.OPEN
        assert bench.ready_all() == []
        assert bench.submit(bench.job()) == ["send 2 a0"]


class TestCancel:
    def test_what_waits_never_starts(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        a, b = bench.job(), bench.job()
        bench.submit(a, 3)
        bench.submit(b)
        assert bench.cancel(a) == []
        assert (bench.scheduler.queued, a.queued) == (1, 0)
        assert bench.answered(1) == ["done a0", "drop a1 a2: open", "send 1 b0"]

    def test_with_kill_the_workers_that_run_it_go(self) -> None:
        bench = Bench(min=2, max=2)
        bench.ready_all()
        a, b = bench.job(), bench.job()
        bench.submit(b)
        bench.submit(a, 2)
        assert bench.cancel(a, kill=True) == ["kill 1", "drop a1: open"]
        assert bench.exited(1) == ["lost a0: cancelled"]
        assert bench.answered(2) == ["done b0"]

    def test_what_a_dead_worker_had_of_it_is_not_started_again(self) -> None:
        bench = Bench(min=1, max=1, window=4)
        bench.ready_all()
        a, b = bench.job(), bench.job()
        bench.submit(b)
        bench.submit(a, 2)
        bench.cancel(a)
        assert bench.exited(1) == ["lost b0: None", "drop a0 a1: open"]
        assert bench.scheduler.queued == 0
        assert bench.ready_all() == []

    def test_what_comes_in_after_the_cancel_is_not_sent(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        a, b = bench.job(), bench.job()
        bench.cancel(a)
        assert bench.submit(a) == ["drop a0: open"]
        assert not a.begun
        assert bench.submit(b) == ["send 1 b0"]
        assert b.begun


class TestClosing:
    def test_an_idle_pool_stops_its_workers_and_starts_none(self) -> None:
        bench = Bench(min=2, max=2)
        bench.start_all()
        bench.ready(1)
        assert bench.close() == ["stop 1", "kill 2"]
        bench.exited(1)
        bench.exited(2)
        assert bench.start_all() == []
        assert not bench.scheduler.slots

    def test_what_was_submitted_is_finished_first(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.submit(bench.job(), 2)
        assert bench.close() == []
        assert bench.answered(1) == ["done a0", "send 1 a1"]
        assert bench.answered(1) == ["done a1", "stop 1"]
        assert bench.after(1000) == ["terminate 1", "kill 1"]

    def test_a_worker_is_started_if_the_work_needs_one(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.submit(bench.job(), 2)
        bench.close()
        assert bench.exited(1) == ["lost a0: None"]
        assert bench.ready_all() == ["send 2 a1"]

    def test_at_the_deadline_the_rest_is_dropped_and_everyone_told(self) -> None:
        bench = Bench(min=2, max=2)
        bench.ready_all()
        bench.submit(bench.job(), 3)
        assert bench.close(grace=3) == []
        assert bench.after(2.5) == []
        assert bench.after(0.5) == ["drop a2: closing", "terminate 1", "terminate 2"]
        assert bench.after(1) == ["kill 1", "kill 2"]
        assert bench.exited(1) == ["lost a1: closed"]
        assert bench.exited(2) == ["lost a0: closed"]
        assert bench.start_all() == []

    def test_the_deadline_never_skips_a_rung(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        assert bench.close(grace=5) == ["stop 1"]
        assert bench.after(5) == ["terminate 1"]
        assert bench.after(0.5) == []
        assert bench.after(0.5) == ["kill 1"]

    def test_nothing_is_started_again_after_the_deadline(self) -> None:
        bench = Bench(min=1, max=1, window=4)
        bench.ready_all()
        bench.submit(bench.job(), 3)
        bench.close(grace=3)
        bench.after(4)
        assert bench.exited(1) == ["lost a0: closed", "drop a1 a2: closing"]
        assert bench.start_all() == []

    def test_untouched_items_are_dropped_after_the_deadline(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.submit(bench.job())
        bench.close(grace=0)
        bench.after(0)
        assert bench.exited(1, begun=False) == ["drop a0: closing"]
        assert bench.start_all() == []

    def test_a_later_close_may_only_shorten(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.submit(bench.job())
        bench.close(grace=None)
        assert bench.close(grace=1) == []
        assert bench.after(1) == ["terminate 1"]

    def test_those_who_wait_for_a_lease_are_told(self) -> None:
        bench = Bench(min=0, max=1)
        waiter, _ = bench.lease()
        bench.close()
        assert waiter.pool_state is PoolState.CLOSING
        assert bench.start_all() == []

    def test_a_leased_worker_is_awaited_until_the_deadline(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.lease()
        assert bench.close(grace=2) == []
        assert bench.after(2) == ["terminate 1"]
        assert bench.release(1) == []

    def test_a_leased_worker_that_comes_back_is_stopped(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.lease()
        bench.close()
        assert bench.release(1) == ["stop 1"]

    def test_a_paused_pool_still_finishes_its_work(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.scheduler.pause()
        bench.submit(bench.job())
        assert bench.close() == ["send 1 a0"]
        assert bench.answered(1) == ["done a0", "stop 1"]

    def test_work_that_no_worker_can_be_started_for_is_dropped(self) -> None:
        bench = Bench(min=1, max=1, max_failures=1, backoff=(0.0, 0.0))
        bench.submit(bench.job())
        bench.close()
        bench.start_all()
        assert bench.exited(1, failed_start=True) == []
        bench.start_all()
        assert bench.exited(2, failed_start=True) == ["drop a0: closing"]
        assert bench.start_all() == []

    def test_kill_ends_everything_at_once(self) -> None:
        bench = Bench(min=2, max=2, window=2)
        bench.ready_all()
        bench.submit(bench.job(), 6)
        assert bench._done(bench.scheduler.kill_all()) == [
            "drop a4 a5: closing",
            "kill 1",
            "kill 2",
        ]
        assert bench.exited(1) == ["lost a2: closed", "drop a3: closing"]
        assert bench.exited(2, begun=False) == ["drop a0 a1: closing"]
        assert bench.start_all() == []
        assert not bench.scheduler.has_work
