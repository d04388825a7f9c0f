"""Decisions about trying again, taking back and recycling: events in, commands out."""

from __future__ import annotations

from processpool.core.states import WorkerState
from tests.core.scheduling import Bench


def settings(**numbers: object) -> Bench:
    return Bench(backoff=(1.0, 4.0), **numbers)


class TestTryingAgain:
    def test_an_item_that_killed_its_worker_is_tried_again_later(self) -> None:
        bench = settings(min=1, max=1, attempts=2, retry_on=frozenset({"crash"}))
        bench.ready_all()
        bench.submit(bench.job())
        assert bench.exited(1) == ["retry a0: None"]
        assert bench.ready_all() == []
        assert bench.after(1.0) == ["send 2 a0"]

    def test_the_last_attempt_is_lost(self) -> None:
        bench = settings(min=1, max=1, attempts=2, retry_on=frozenset({"crash"}))
        bench.ready_all()
        bench.submit(bench.job())
        bench.exited(1)
        bench.ready_all()
        bench.after(1.0)
        assert bench.exited(2) == ["lost a0: None"]

    def test_the_wait_doubles(self) -> None:
        bench = settings(min=1, max=1, attempts=3, retry_on=frozenset({"crash"}))
        bench.ready_all()
        bench.submit(bench.job())
        bench.exited(1)
        bench.ready_all()
        bench.after(1.0)
        bench.exited(2)
        bench.ready_all()
        assert bench.after(1.5) == []
        assert bench.after(0.5) == ["send 3 a0"]

    def test_only_what_the_policy_names_is_tried_again(self) -> None:
        bench = settings(min=1, max=1, attempts=5, retry_on=frozenset({"timeout"}))
        bench.ready_all()
        bench.submit(bench.job())
        assert bench.exited(1) == ["lost a0: None"]

    def test_a_timeout_is_tried_again_if_the_policy_says_so(self) -> None:
        bench = settings(min=1, max=1, attempts=2, retry_on=frozenset({"timeout"}))
        bench.ready_all()
        bench.submit(bench.job(timeout=3.0))
        assert bench.after(3.0) == ["kill 1"]
        assert bench.exited(1) == ["retry a0: timeout"]

    def test_what_was_cancelled_is_not_tried_again(self) -> None:
        bench = settings(min=1, max=1, attempts=9, retry_on=frozenset({"crash"}))
        bench.ready_all()
        a = bench.job()
        bench.submit(a)
        bench.cancel(a)
        assert bench.exited(1) == ["lost a0: None"]

    def test_what_is_cancelled_while_it_waits_goes_at_once(self) -> None:
        bench = settings(min=1, max=1, attempts=9, retry_on=frozenset({"crash"}))
        bench.ready_all()
        a, b = bench.job(), bench.job()
        bench.submit(a)
        bench.submit(b)
        bench.exited(1)
        assert bench.cancel(a) == ["drop a0: open"]
        bench.ready_all()
        assert bench.answered(2) == ["done b0"]
        assert not bench.scheduler.has_work

    def test_closing_waits_for_what_will_be_tried_again(self) -> None:
        bench = settings(min=1, max=1, attempts=2, retry_on=frozenset({"crash"}))
        bench.ready_all()
        bench.submit(bench.job())
        bench.exited(1)
        assert bench.close() == []
        assert bench.scheduler.has_work
        bench.after(1.0)
        assert bench.start_all() == [2]
        assert bench.ready(2) == ["send 2 a0"]
        assert bench.answered(2) == ["done a0", "stop 2"]


class TestOutOfTime:
    def test_a_worker_says_where_it_is_before_it_is_killed(self) -> None:
        bench = settings(min=1, max=1, dumps_stacks=True)
        bench.ready_all()
        bench.submit(bench.job(timeout=3.0))
        assert bench.after(3.0) == ["dump 1"]
        assert bench.after(0.2) == ["kill 1"]
        assert bench.exited(1) == ["lost a0: timeout"]


class TestTakingBack:
    def test_an_idle_worker_gets_what_another_has_not_begun(self) -> None:
        bench = settings(min=2, max=2, window=4, takes_back=True)
        bench.ready_all()
        a, b = bench.job(), bench.job()
        assert bench.submit(a) == ["send 2 a0"]
        assert bench.submit(b) == ["send 1 b0"]
        bench.submit(a, start=1)
        bench.submit(a, start=2)
        holder = next(s.id for s in bench.scheduler.slots.values() if len(s.inflight) > 1)
        other = 3 - holder
        out = bench.answered(other, bench.scheduler.slots[other].load)
        assert out[-1] == f"take back {holder}"
        unbegun = list(bench.scheduler.slots[holder].inflight)[1:]
        words = bench._done(bench.scheduler.taken_back(holder, unbegun, bench.now))
        assert words[0].startswith(f"send {other} ")

    def test_an_item_behind_another_is_a_reason_to_start_a_worker(self) -> None:
        bench = settings(min=1, max=2, window=4, takes_back=True)
        bench.ready_all()
        bench.submit(bench.job())
        bench.submit(bench.job())
        assert bench.start_all() == [2]
        assert bench.ready(2) == ["take back 1"]

    def test_a_batch_that_cannot_be_read_goes_item_by_item(self) -> None:
        bench = settings(min=1, max=1, window=8)
        bench.ready_all()
        bench.submit(bench.job(), 3)
        out = bench._done(bench.scheduler.given_back(1, bench.now, singly=True))
        assert out == ["send 1 a0", "send 1 a1", "send 1 a2"]

    def test_a_batch_that_killed_its_worker_before_it_began_goes_item_by_item(self) -> None:
        bench = settings(min=1, max=1, window=8)
        bench.ready_all()
        bench.submit(bench.job(), 2)
        assert bench._done(bench.scheduler.exited(1, bench.now, begun=False, singly=True)) == []
        assert bench.ready_all() == ["send 2 a0", "send 2 a1"]


class TestRecycling:
    def test_a_worker_gets_no_more_items_than_its_limit(self) -> None:
        bench = settings(min=1, max=1, window=8, recycle_requests=3)
        bench.ready_all()
        assert bench.submit(bench.job(), 5) == ["send 1 a0 a1 a2"]
        assert bench.answered(1, 3) == ["done a0 a1 a2", "stop 1"]

    def test_its_successor_starts_before_it_goes(self) -> None:
        bench = settings(min=1, max=1, recycle_requests=2)
        bench.ready_all()
        bench.submit(bench.job(), 2)
        bench.answered(1)
        assert bench.state(1) is WorkerState.BUSY
        assert bench.start_all() == [2], "its last item is running"

    def test_a_successor_that_is_ready_lets_it_go_when_it_is_done(self) -> None:
        bench = settings(min=1, max=1, recycle_age=60.0)
        bench.ready_all()
        assert bench.after(60.0) == []
        assert bench.start_all() == [2]
        assert bench.ready(2) == ["stop 1"]

    def test_one_that_has_grown_too_large_works_on_until_then(self) -> None:
        bench = settings(min=1, max=1)
        bench.ready_all()
        assert bench._done(bench.scheduler.expire(1, bench.now)) == []
        assert bench.submit(bench.job()) == ["send 1 a0"]
        assert bench.start_all() == [2]
        assert bench.ready(2) == []
        assert bench.answered(1) == ["done a0", "stop 1"]

    def test_one_that_has_grown_too_large_is_renewed_once(self) -> None:
        bench = settings(min=1, max=1)
        bench.ready_all()
        for _ in range(2):
            assert bench._done(bench.scheduler.expire(1, bench.now)) == []
        assert bench.scheduler.fleet.expiring == 1
        assert bench.start_all() == [2]
        assert bench.ready(2) == ["stop 1"]
        assert bench._done(bench.scheduler.expire(1, bench.now)) == []
        bench.exited(1)
        assert bench.scheduler.fleet.expiring == 0
        assert bench.start_all() == []

    def test_each_item_may_have_a_worker_of_its_own(self) -> None:
        bench = settings(min=1, max=1, recycle_requests=1)
        bench.ready_all()
        assert bench.submit(bench.job(), 3) == ["send 1 a0"]
        assert bench.start_all() == [2]
        assert bench.ready(2) == [], "there is never more than one at work"
        assert bench.answered(1) == ["done a0", "stop 1", "send 2 a1"]
