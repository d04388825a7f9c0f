"""The queue: in order within a job, in turns between jobs, and what comes back comes first."""

from __future__ import annotations

from processpool.core.jobs import Batch
from processpool.core.work_queue import WorkQueue
from tests.core.scheduling import Bench, NotedJob, items


def batch(job: NotedJob, start: int, size: int) -> Batch:
    return Batch(job, start, [f"{job.name}{start + n}" for n in range(size)], 0.0)


class Line:
    """A queue, and the names of what is in it."""

    def __init__(self) -> None:
        self.queue = WorkQueue()
        self.jobs = {name: NotedJob(name) for name in "abc"}

    def append(self, name: str, start: int = 0, size: int = 1) -> Batch:
        added = batch(self.jobs[name], start, size)
        self.queue.append(added)
        return added

    def take(self, size: int = 1) -> str:
        return " ".join(items(self.queue.take(size)))

    def take_all(self, size: int = 1) -> list[str]:
        taken = []
        while self.queue:
            taken.append(self.take(size))
        return taken

    def waiting(self) -> list[str]:
        names = [name for found in self.queue for name in items(found)]
        assert self.queue.items == len(names)
        for job in self.jobs.values():
            assert job.queued == sum(name.startswith(job.name) for name in names)
        return names


class TestTurns:
    def test_one_job_alone_goes_in_order(self) -> None:
        line = Line()
        for start in (0, 3, 6):
            line.append("a", start, 3)
        assert line.waiting() == [f"a{n}" for n in range(9)]
        assert line.take_all(2) == ["a0 a1", "a2", "a3 a4", "a5", "a6 a7", "a8"]
        assert line.waiting() == []

    def test_a_single_request_waits_for_one_turn_of_a_map(self) -> None:
        line = Line()
        line.append("a", size=1000)
        line.append("b")
        assert [line.take(4), line.take(4), line.take(4)] == ["a0 a1 a2 a3", "b0", "a4 a5 a6 a7"]

    def test_maps_take_turns_whatever_their_batches_are(self) -> None:
        line = Line()
        line.append("a", 0, 2)
        line.append("a", 2, 2)
        line.append("b", 0, 3)
        line.append("c", 0, 1)
        assert line.take_all() == ["a0", "b0", "c0", "a1", "b1", "a2", "b2", "a3"]

    def test_whole_batches_take_turns_too(self) -> None:
        line = Line()
        line.append("a", 0, 2)
        line.append("a", 2, 2)
        line.append("b", 0, 2)
        assert line.take_all(9) == ["a0 a1", "b0 b1", "a2 a3"]

    def test_a_job_that_comes_again_gets_in_line_again(self) -> None:
        line = Line()
        line.append("a")
        assert line.take() == "a0"
        line.append("b")
        line.append("a", 1)
        assert line.take_all() == ["b0", "a1"]


class TestComingBack:
    def test_what_comes_back_goes_first(self) -> None:
        line = Line()
        line.append("a", 0, 4)
        line.append("b")
        back = line.queue.take(2)
        back.attempts = 1
        line.queue.take_back([back])
        assert back.attempts == 0
        assert line.waiting() == ["a0", "a1", "a2", "a3", "b0"]
        assert line.take_all(9) == ["a0 a1", "b0", "a2 a3"]

    def test_several_batches_come_back_in_their_order(self) -> None:
        line = Line()
        line.append("a", 0, 6)
        line.append("b", 0, 2)
        parts = [line.queue.take(2) for _ in range(4)]
        assert [items(part)[0] for part in parts] == ["a0", "b0", "a2", "a4"]
        line.queue.put_back([parts[0], parts[2], parts[3]])
        assert line.waiting() == ["a0", "a1", "a2", "a3", "a4", "a5"]
        line.queue.put_back([parts[1]])
        assert line.take_all(9) == ["b0 b1", "a0 a1", "a2 a3", "a4 a5"]

    def test_of_a_job_that_waits_elsewhere_in_the_line(self) -> None:
        line = Line()
        line.append("a", 0, 4)
        first = line.queue.take(2)
        line.append("b")
        line.queue.put_back([first])
        line.append("a", 4, 2)
        assert line.take_all(9) == ["a0 a1", "b0", "a2 a3", "a4 a5"]

    def test_what_was_delayed_comes_when_it_is_due(self) -> None:
        line = Line()
        line.append("a")
        late = line.queue.take(1)
        line.append("b")
        line.queue.delay(late, 5.0)
        assert (line.queue.has_delayed, line.queue.next_due) == (True, 5.0)
        assert line.queue.delays(late.job)
        assert not line.queue.delays(line.jobs["b"])
        line.queue.wake(4.9)
        assert line.waiting() == ["b0"]
        line.queue.wake(5.0)
        assert (line.queue.has_delayed, line.queue.next_due) == (False, None)
        assert line.take_all() == ["a0", "b0"]

    def test_those_due_at_the_same_time_keep_their_order(self) -> None:
        line = Line()
        for name in "abc":
            line.append(name)
        late = [line.queue.take(1) for _ in range(3)]
        for one in late:
            line.queue.delay(one, 1.0)
        line.queue.delay(batch(line.jobs["a"], 9, 1), 0.5)
        assert line.queue.next_due == 0.5
        assert [items(one)[0] for one in line.queue.clear()] == ["a9", "a0", "b0", "c0"]


class TestForgetting:
    def test_a_cancelled_job_counts_no_more(self) -> None:
        line = Line()
        line.append("a", 0, 3)
        line.append("b")
        job = line.jobs["a"]
        assert line.queue.forget(job) == []
        assert (line.queue.items, job.queued, job.cancelled) == (1, 0, True)
        assert line.take(9) == "a0 a1 a2"
        assert line.queue.items == 1
        line.queue.put_back([batch(job, 7, 2)])
        assert line.queue.items == 1

    def test_only_its_own_delayed_items_go_at_once(self) -> None:
        line = Line()
        mine, other = batch(line.jobs["a"], 0, 1), batch(line.jobs["b"], 0, 1)
        line.queue.delay(mine, 1.0)
        line.queue.delay(other, 2.0)
        assert line.queue.forget(line.jobs["a"]) == [mine]
        assert line.queue.next_due == 2.0

    def test_the_delayed_items_of_others_stay_in_their_order(self) -> None:
        line = Line()
        a, b = batch(line.jobs["a"], 0, 1), [batch(line.jobs["b"], n, 1) for n in range(4)]
        line.queue.delay(a, 1.0)
        for one, due in zip(b, (4.0, 2.0, 5.0, 3.0), strict=True):
            line.queue.delay(one, due)
        assert line.queue.forget(line.jobs["a"]) == [a]
        assert line.queue.next_due == 2.0
        line.queue.wake(3.0)
        assert [one.start for one in line.queue] == [3, 1]
        assert line.queue.next_due == 4.0

    def test_clear_gives_everything_out_and_leaves_nothing(self) -> None:
        line = Line()
        line.append("a", 0, 2)
        line.append("b")
        line.append("a", 2, 1)
        line.queue.delay(batch(line.jobs["c"], 0, 1), 1.0)
        cleared = [items(found) for found in line.queue.clear()]
        assert cleared == [["a0", "a1"], ["a2"], ["b0"], ["c0"]]
        assert line.waiting() == []
        assert not line.queue
        assert not line.queue.has_delayed
        line.append("a", 3, 1)
        line.append("a", 4, 1)
        assert line.take_all() == ["a3", "a4"]


class TestInAPool:
    def test_a_map_does_not_starve_those_who_come_after_it(self) -> None:
        bench = Bench(min=1, max=1, window=2)
        bench.ready_all()
        a, b, c = bench.jobs(3)
        assert bench.submit(a, 100) == ["send 1 a0 a1"]
        bench.submit(b)
        bench.submit(c, 2)
        assert bench.answered(1, 2) == ["done a0 a1", "send 1 a2 a3"]
        assert bench.answered(1, 2) == ["done a2 a3", "send 1 b0", "send 1 c0"]
        assert bench.answered(1, 2) == ["done b0", "done c0", "send 1 a4 a5"]
        assert bench.answered(1, 2) == ["done a4 a5", "send 1 c1", "send 1 a6"]
