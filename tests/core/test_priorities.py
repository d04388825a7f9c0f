"""Priorities: the order of the queue, and what workers hold that others are more urgent than."""

from __future__ import annotations

import pytest

from processpool.core.jobs import Batch
from processpool.core.terms import Terms
from processpool.core.work_queue import WorkQueue
from tests.core.scheduling import Bench, NotedJob, items


class Line:
    """A queue of jobs a (0), b (1), c (-1) and d (0)."""

    def __init__(self) -> None:
        self.queue = WorkQueue()
        priorities = {"a": 0, "b": 1, "c": -1, "d": 0}
        self.jobs = {
            name: NotedJob(name, terms=Terms(number)) for name, number in priorities.items()
        }

    def batch(self, name: str, start: int = 0, size: int = 1) -> Batch:
        names = [f"{name}{start + n}" for n in range(size)]
        return Batch(self.jobs[name], start, names, 0.0)

    def append(self, name: str, start: int = 0, size: int = 1) -> None:
        self.queue.append(self.batch(name, start, size))

    def take_all(self) -> list[str]:
        taken = []
        while self.queue:
            taken += items(self.queue.take(1))
        assert self.queue.items == 0
        return taken


class TestTheQueue:
    @pytest.mark.parametrize("order", ["abcd", "dcba", "cabd", "bdac"])
    def test_higher_ones_go_first_and_equals_take_turns(self, order: str) -> None:
        line = Line()
        for name in order:
            line.append(name, size=2)
        first, second = sorted("ad", key=order.index)
        equals = [f"{name}{n}" for n in (0, 1) for name in (first, second)]
        assert line.take_all() == ["b0", "b1", *equals, "c0", "c1"]

    def test_a_higher_one_that_comes_later(self) -> None:
        line = Line()
        line.append("a", size=3)
        assert items(line.queue.take(1)) == ["a0"]
        line.append("b")
        assert line.take_all() == ["b0", "a1", "a2"]

    def test_what_comes_back_goes_in_front_of_its_own_line(self) -> None:
        line = Line()
        for name in "acb":
            line.append(name, size=2)
        line.queue.put_back([line.batch("c", 8), line.batch("a", 8)])
        assert line.take_all() == ["b0", "b1", "a8", "a0", "a1", "c8", "c0", "c1"]

    def test_all_of_it_is_counted_and_listed(self) -> None:
        line = Line()
        for name in "abcd":
            line.append(name, size=3)
        listed = [name for batch in line.queue for name in items(batch)]
        assert [name[0] for name in listed] == [*"bbb", *"aaa", *"ddd", *"ccc"]
        assert line.queue.items == 12
        assert len(line.queue.clear()) == 4
        assert not line.queue
        line.append("c")
        line.append("a")
        assert line.take_all() == ["a0", "c0"]


class TestWhatWorkersHold:
    def test_less_urgent_items_are_recalled(self) -> None:
        bench = Bench(min=1, max=1, window=4, takes_back=True)
        low, high = bench.job(), bench.job(priority=1)
        bench.ready_all()
        assert bench.submit(low, 3) == ["send 1 a0 a1 a2"]
        assert bench.submit(high) == ["make way 1"]
        back = bench.scheduler.slots[1].inflight[0].split(1)[1]
        assert bench.taken_back(1, [back]) == ["send 1 b0", "send 1 a1 a2"]

    def test_a_worker_is_asked_once_for_the_same_items(self) -> None:
        bench = Bench(min=1, max=1, window=4, takes_back=True)
        low, high = bench.job(), bench.job(priority=1)
        bench.ready_all()
        bench.submit(low, 3)
        assert bench.submit(high) == ["make way 1"]
        assert bench.submit(high, start=1) == []
        assert bench.answered(1) == ["done a0", "make way 1"]

    def test_one_item_alone_is_not_recalled(self) -> None:
        bench = Bench(min=1, max=1, window=4, takes_back=True)
        low, high = bench.job(), bench.job(priority=1)
        bench.ready_all()
        bench.submit(low)
        assert bench.submit(high) == ["send 1 b0"]

    def test_nothing_is_put_behind_what_is_less_urgent(self) -> None:
        bench = Bench(min=2, max=2, window=4, takes_back=True)
        low, high = bench.job(), bench.job(priority=1)
        bench.ready_all()
        assert bench.submit(low, 3) == ["send 2 a0 a1", "send 1 a2"]
        assert bench.submit(high) == ["send 1 b0"]

    def test_a_free_worker_takes_what_another_one_holds_before_less_urgent_items(self) -> None:
        bench = Bench(min=2, max=2, window=2, takes_back=True)
        low, high = bench.job(), bench.job(priority=1)
        bench.ready_all()
        assert bench.submit(high, 3) == ["send 2 b0 b1", "send 1 b2"]
        assert bench.submit(low, 4) == ["make way 2"]
        back = bench.scheduler.slots[2].inflight[0].split(1)[1]
        assert bench.taken_back(2, [back]) == ["send 1 b1"]
        assert bench.answered(1) == ["done b2", "send 1 a0"]

    def test_if_there_was_nothing_to_recall_the_next_in_line_is_assigned(self) -> None:
        bench = Bench(min=2, max=2, window=2, takes_back=True)
        low, high = bench.job(), bench.job(priority=1)
        bench.ready_all()
        assert bench.submit(high, 3) == ["send 2 b0 b1", "send 1 b2"]
        assert bench.submit(low, 4) == ["make way 2"]
        assert bench.reassign() == ["send 1 a0"]

    def test_where_nothing_is_recalled_the_order_is_that_of_the_queue(self) -> None:
        bench = Bench(min=1, max=1, window=2)
        low, high = bench.job(), bench.job(priority=1)
        bench.ready_all()
        bench.submit(low, 4)
        assert bench.submit(high) == []
        assert bench.answered(1, 2) == ["done a0 a1", "send 1 b0", "send 1 a2"]
