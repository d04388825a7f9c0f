"""Which of the pool's slots a worker has: what users know as its slot."""

from __future__ import annotations

from processpool.core.exit_reason import ExitReason
from tests.core.scheduling import Bench


def places(bench: Bench) -> dict[int, int]:
    """Worker → its slot."""
    return {slot.id: slot.place for slot in bench.scheduler.slots.values()}


def test_the_lowest_that_is_free() -> None:
    bench = Bench(min=3, max=4)
    bench.ready_all()
    assert places(bench) == {1: 0, 2: 1, 3: 2}
    bench.exited(2)
    assert bench.start_all() == [4]
    assert places(bench) == {1: 0, 3: 2, 4: 1}


def test_one_that_is_on_its_way_out_has_given_it_away() -> None:
    bench = Bench(min=2, max=2)
    bench.ready_all()
    bench.kill(1)
    assert bench.start_all() == [3]
    assert places(bench) == {1: 0, 2: 1, 3: 0}


class TestRecycling:
    def test_the_successor_has_the_slot_before_its_predecessor_goes(self) -> None:
        bench = Bench(min=2, max=3, recycle_requests=1)
        bench.ready_all()
        bench.submit(bench.job())
        assert bench.start_all() == [3]  # worker 2 has done the last that it may
        assert places(bench) == {1: 0, 2: 1, 3: 1}

    def test_the_predecessor_goes_and_not_an_older_one(self) -> None:
        bench = Bench(min=2, max=2, recycle_age=10.0)
        bench.ready_all()
        bench.now += 11.0
        bench.scheduler.expire(1, bench.now)
        bench.scheduler.expire(2, bench.now)
        first, second = bench.start_all()
        assert places(bench) == {1: 0, 2: 1, first: 0, second: 1}
        assert bench.ready(second) == ["stop 2"]
        assert bench.ready(first) == ["stop 1"]


class TestExclusive:
    def test_a_successor_starts_when_its_predecessor_is_gone(self) -> None:
        bench = Bench(min=2, max=2, exclusive=True)
        bench.ready_all()
        bench.kill(1)
        assert bench.start_all() == []
        bench.exited(1)
        assert bench.start_all() == [3]
        assert places(bench) == {2: 1, 3: 0}

    def test_where_another_slot_is_free_nobody_waits(self) -> None:
        bench = Bench(min=1, max=2, exclusive=True)
        bench.ready_all()
        bench.kill(1)
        assert bench.start_all() == [2]
        assert places(bench) == {1: 0, 2: 1}

    def test_one_that_has_done_enough_goes_before_its_successor_comes(self) -> None:
        bench = Bench(min=1, max=1, exclusive=True, recycle_requests=20)
        bench.ready_all()
        for _ in range(19):  # none is started early, and none is let go early
            bench.submit(bench.job())
            assert "stop 1" not in bench.answered(1)
            assert bench.start_all() == []
        bench.submit(bench.job())
        assert bench.answered(1)[-1] == "stop 1"
        assert bench.start_all() == []
        bench.exited(1)
        assert bench.start_all() == [2]

    def test_one_that_is_too_old(self) -> None:
        bench = Bench(min=1, max=1, exclusive=True, recycle_age=10.0)
        bench.ready_all()
        assert bench.after(11.0) == ["stop 1"]

    def test_one_that_is_too_large(self) -> None:
        bench = Bench(min=1, max=1, exclusive=True, recycle_memory=1)
        bench.ready_all()
        bench.submit(bench.job())
        assert bench.scheduler.expire(1, bench.now) == []
        assert bench.answered(1)[-1] == "stop 1"


def test_a_smaller_pool_lets_those_go_whose_slot_is_none_any_more() -> None:
    bench = Bench(min=1, max=3, spare=3)
    bench.submit(bench.job(), 3)
    bench.ready_all()
    for worker in (1, 2, 3):  # the one in the lowest slot is idle for longest
        bench.answered(worker)
    smaller = bench.policy.__class__(min=1, max=1, spare=1)
    bench.scheduler.resize(smaller, bench.now)
    assert [slot.place for slot in bench.scheduler.fleet.idle.values()] == [0]


def test_a_lost_start_leaves_its_slot() -> None:
    bench = Bench(min=1, max=1)
    bench.start_all()
    bench.exited(1, failed_start=True)
    bench.now += 60.0
    (second,) = bench.start_all()
    assert places(bench) == {second: 0}
    bench.ready(second)
    bench.kill(second, ExitReason.RESTARTED)
    assert list(places(bench).values()) == [0]
