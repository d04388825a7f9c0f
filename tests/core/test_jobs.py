"""Batches are ranges: they split without copying, and let go of what has ended."""

from __future__ import annotations

import pickle

import pytest

from processpool.core.jobs import Batch, Origin
from processpool.core.replies import PickledReply, Reply
from processpool.core.work_queue import WorkQueue
from tests.core.scheduling import NotedJob

JOB = NotedJob("a")


def ten() -> Batch:
    batch = Batch(JOB, 100, list(range(10)), 7.0)
    batch.sent_at, batch.attempts = 8.0, 2
    return batch


def described(batch: Batch) -> tuple[int, list[int], int]:
    return batch.start, list(batch.payloads), len(batch)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11])
def test_split(count: int) -> None:
    batch = ten()
    first, others = batch.split(count)
    taken = min(count, 10)
    assert described(first) == (100, list(range(taken)), taken)
    assert described(others) == (100 + taken, list(range(taken, 10)), 10 - taken)
    assert described(batch) == (100, list(range(10)), 10), "it is as it was"
    for part in (first, others):
        assert part.items is batch.items, "nothing is copied"
        assert part.job is JOB
        assert (part.queued_at, part.sent_at, part.attempts) == (7.0, 8.0, 2)


def test_a_part_is_split_as_the_whole_is() -> None:
    _, others = ten().split(3)
    first, others = others.split(2)
    assert described(first) == (103, [3, 4], 2)
    assert described(others) == (105, [5, 6, 7, 8, 9], 5)


def test_advance_takes_off_the_first_items() -> None:
    batch = ten()
    assert described(batch.advance(4)) == (100, [0, 1, 2, 3], 4)
    assert described(batch) == (104, [4, 5, 6, 7, 8, 9], 6)
    assert described(batch.advance(1)) == (104, [4], 1)


def test_what_has_ended_is_let_go_of_and_nothing_else() -> None:
    items: list[int | None] = list(range(5))
    batch = Batch(JOB, 0, items, 0.0)
    first, others = batch.split(2)
    second = others.advance(1)
    second.forget()
    assert items == [0, 1, None, 3, 4]
    first.forget()
    assert items == [None, None, None, 3, 4]
    assert list(others.payloads) == [3, 4]


def test_an_item_in_a_tuple_is_left_where_it_is() -> None:
    batch = Batch(JOB, 0, ("a0",), 0.0)
    batch.forget()
    assert list(batch.payloads) == ["a0"]


def test_an_attempt_keeps_no_payload_alive() -> None:
    batch = ten()
    attempt = batch.attempt(3, "answer", Origin(5, 6, 8.0, 9.0))
    assert attempt._batch.items is not batch.items
    record = attempt.record
    assert (record.index, record.value, record.attempts) == (103, "answer", 2)
    assert (record.queued, record.seconds, record.worker_id, record.pid) == (1.0, 1.0, 5, 6)


class TestQueue:
    def test_taking_a_part_leaves_the_rest_in_its_place(self) -> None:
        queue = WorkQueue()
        batch = ten()
        queue.append(batch)
        assert described(queue.take(4)) == (100, [0, 1, 2, 3], 4)
        assert queue.first is batch
        assert queue.items == JOB.queued == 6
        assert described(queue.take(6)) == (104, [4, 5, 6, 7, 8, 9], 6)
        assert not queue
        assert queue.items == JOB.queued == 0


class TestRecords:
    WHERE = Origin(5, 6, 8.0, 9.5, "late")

    @pytest.mark.parametrize(
        ("answer", "stdout", "stderr"),
        [
            ("said", "said", "late"),
            (7, "", "late"),
            (Reply("value", stdout="printed"), "printed", "late"),
            (Reply(7, stderr="mine"), "", "mine"),
            (Reply(7, stdout="", stderr=""), "", ""),
        ],
    )
    def test_what_was_printed(self, answer: object, stdout: str, stderr: str) -> None:
        record = ten().outcome(2, answer, self.WHERE)
        assert (record.stdout, record.stderr) == (stdout, stderr)
        assert (record.index, record.queued, record.seconds) == (102, 1.0, 1.5)
        assert record.attempts == 2

    def test_one_that_was_never_handed_over_counts_as_one_attempt_of_no_time(self) -> None:
        batch = Batch(JOB, 0, ["a0"], 9.0)
        batch.sent_at = 8.0
        record = batch.outcome(0, 1, Origin(5, 6, 9.0, 8.0))
        assert (record.attempts, record.queued, record.seconds) == (1, 0.0, 0.0)

    def test_an_error_carries_its_record(self) -> None:
        error = ValueError("no")
        record = ten().outcome(0, Reply(error=error), self.WHERE)
        assert error.record is record  # type: ignore[attr-defined]

    def test_earlier_attempts_are_in_the_record(self) -> None:
        batch = ten().split(1)[0]
        batch.history = (batch.attempt(0, Reply(error=ValueError("no")), self.WHERE),)
        record = batch.attempt(0, 1, self.WHERE).record
        assert [str(earlier.error) for earlier in record.history] == ["no"]

    def test_a_record_is_made_once(self) -> None:
        attempt = ten().attempt(0, 1, self.WHERE)
        assert attempt.record is attempt.record

    def test_a_job_begins_with_nothing(self) -> None:
        job = NotedJob("x", 3.0)
        assert (job.timeout, job.number, job.queued, job.window, job.task) == (
            3.0,
            0,
            0,
            None,
            None,
        )
        assert not (job.begun)
        assert not (job.killed)
        assert not (job.cancelled)
        assert not (job.recalled)


@pytest.mark.parametrize("left", [2, 3, 10])
def test_a_batch_that_has_ended_becomes_the_next_item(left: int) -> None:
    queued = ten()
    ended, queued = queued.split(10 - left + 1)
    ended.lo = ended.hi - 1
    queued.lo -= 1
    queued.attempts = 3
    assert len(queued) == left
    assert ended.step(queued)
    assert described(ended) == (110 - left, [10 - left], 1)
    assert described(queued) == (111 - left, list(range(11 - left, 10)), left - 1)
    assert ended.attempts == 3


def test_it_does_not_become_the_last_item_nor_one_of_another_list() -> None:
    ended, queued = ten().split(9)
    assert not ended.step(queued)
    assert not ended.step(ten())
    assert described(queued) == (109, [9], 1)


def test_the_record_of_an_item_has_its_value() -> None:
    origin = Origin(3, 33, 8.0, 9.0)
    pickled = PickledReply([pickle.dumps({1, 2})])
    assert ten().outcome(4, pickled, origin).value == {1, 2}
    assert ten().outcome(4, "plain", origin).value == "plain"
    assert ten().outcome(4, "plain", origin).index == 104
