"""A budget of memory: who may begin, who gives way, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.core.policy import MemoryPolicy
from tests.core.scheduling import Bench

if TYPE_CHECKING:
    from tests.core.scheduling import NotedJob


class Weighed(Bench):
    """A pool of three workers with a budget of 100, of which 95 are used at most."""

    def __init__(self, **memory: Any) -> None:
        super().__init__(min=3, max=3, memory=MemoryPolicy(100, **memory))
        self.ready_all()
        self.usage = dict.fromkeys((1, 2, 3), 0)

    def weigh(self, **usage: int) -> list[str]:
        """Measure what workers use: `w1=30`."""
        self.usage |= {int(name[1:]): used for name, used in usage.items()}
        self.usage = {n: used for n, used in self.usage.items() if n in self.scheduler.slots}
        return self._done(self.scheduler.weighed(self.usage, self.now))

    def learn(self, job: NotedJob, peak: int) -> None:
        """An item of this kind has needed so much."""
        (sent,) = self.submit(job)
        worker = int(sent.split()[1])
        self.weigh(**{f"w{worker}": peak})
        self.answered(worker)
        self.weigh(**{f"w{worker}": 0})

    def die(self, worker: int) -> list[str]:
        self.usage.pop(worker, None)
        return self.exited(worker)


def test_nothing_is_known_so_all_may_begin() -> None:
    bench = Weighed()
    assert len(bench.submit(bench.job(), 5)) == 3


def test_what_items_have_needed_is_expected_of_the_next() -> None:
    bench = Weighed()
    job = bench.job()
    bench.learn(job, 40)
    assert len(bench.submit(job, 5, start=1)) == 2


def test_a_declared_need_is_not_learnt() -> None:
    bench = Weighed(per_item=50)
    job = bench.job()
    assert len(bench.submit(job, 5)) == 1
    assert bench.weigh(w3=10) == []


def test_one_may_always_begin() -> None:
    bench = Weighed(per_item=5000)
    assert len(bench.submit(bench.job(), 5)) == 1


def test_what_idle_workers_hold_counts() -> None:
    bench = Weighed(per_item=30)
    bench.weigh(w1=60)
    assert bench.submit(bench.job(), 5) == ["send 3 a0"]


def test_as_memory_is_given_back_more_begin() -> None:
    bench = Weighed(per_item=30)
    bench.weigh(w1=60)
    bench.submit(bench.job(), 5)
    assert bench.weigh(w1=20) == ["send 2 a1", "send 1 a2"]


def test_the_youngest_gives_way_and_waits_for_room() -> None:
    bench = Weighed()
    jobs = bench.jobs(3)
    for job in jobs:
        bench.submit(job)
        bench.now += 1
    assert bench.weigh(w3=40, w2=40, w1=20) == ["kill 1"]
    assert bench.weigh() == [], "it is not gone yet, and counts no more"
    assert bench.die(1) == []
    assert [batch.attempts for batch in bench.scheduler.queue.held] == [0]
    assert bench.scheduler.has_work
    assert bench.ready(bench.start_all()[0]) == [], "it is expected to need 40"
    assert bench.answered(2) == ["done b0", "send 2 c0"]


def test_a_second_time_it_waits_until_it_is_alone() -> None:
    bench = Weighed()
    a, b = bench.jobs(2)
    bench.submit(a)
    bench.now += 1
    bench.submit(b)
    assert bench.weigh(w3=60, w2=40) == ["kill 2"]
    bench.die(2)
    bench.weigh(w3=10)
    (sent,) = [word for word in bench.reassign() or ["send 1 b0"] if "b0" in word]
    assert sent == "send 1 b0"
    bench.now += 1
    assert bench.weigh(w3=60, w1=40) == ["kill 1"]
    bench.die(1)
    bench.ready_all()
    assert bench.weigh(w3=1) == []
    assert bench.answered(3) == ["done a0", "send 3 b0"]
    more = bench.job()
    assert bench.submit(more) == [], "nothing runs beside it"


def test_one_that_is_alone_and_too_large_fails() -> None:
    bench = Weighed()
    bench.submit(bench.job())
    assert bench.weigh(w3=99) == ["kill 3"]
    assert bench.die(3) == ["lost a0: out of memory"]


def test_workers_without_an_item_go_before_it_fails() -> None:
    bench = Weighed()
    bench.submit(bench.job())
    assert sorted(bench.weigh(w1=10, w2=10, w3=90)) == ["stop 1", "stop 2"]


def test_without_retries_the_youngest_fails() -> None:
    bench = Weighed(retries=False)
    a, b = bench.jobs(2)
    bench.submit(a)
    bench.now += 1
    bench.submit(b)
    assert bench.weigh(w3=60, w2=40) == ["kill 2"]
    assert bench.die(2) == ["lost b0: out of memory"]


def test_one_that_only_came_last_waits_for_no_more_than_the_others() -> None:
    bench = Weighed()
    job = bench.job()
    bench.learn(job, 30)
    bench.submit(job, 2, start=1)
    bench.now += 1
    bench.submit(job, 1, start=3)
    assert bench.weigh(w1=33, w2=33, w3=33)[0].startswith("kill")
    (killed,) = [n for n, slot in bench.scheduler.slots.items() if slot.exit_reason]
    bench.die(killed)
    (new,) = bench.start_all()
    others = {f"w{n}": 10 for n in bench.scheduler.slots if n != new}
    bench.weigh(**others)
    assert [word.split()[:2] for word in bench.ready(new)] == [["send", str(new)]]


def test_the_kernel_was_faster() -> None:
    bench = Weighed()
    a, b = bench.jobs(2)
    bench.submit(a)
    bench.submit(b)
    bench.scheduler.starved(2)
    assert bench.die(2) == [], "it is to run alone"
    assert bench.answered(3) == ["done a0", "send 3 b0"]
    bench.scheduler.starved(3)
    assert bench.die(3) == ["lost b0: out of memory"]


def test_held_items_are_dropped_when_their_job_is_cancelled() -> None:
    bench = Weighed()
    a, b = bench.jobs(2)
    bench.submit(a)
    bench.now += 1
    bench.submit(b)
    bench.weigh(w3=60, w2=40)
    bench.die(2)
    assert bench.cancel(b) == ["drop b0: open"]
    assert not bench.scheduler.queue.held


def test_closing_waits_for_what_is_held() -> None:
    bench = Weighed()
    a, b = bench.jobs(2)
    bench.submit(a)
    bench.now += 1
    bench.submit(b)
    bench.weigh(w3=60, w2=40)
    bench.die(2)
    bench.close()
    assert "send" in " ".join(bench.answered(3))


def test_no_call_takes_a_worker_past_the_budget() -> None:
    bench = Weighed()
    assert bench.take() is None
