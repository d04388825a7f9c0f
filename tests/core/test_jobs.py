"""Batches are ranges: they split without copying, and let go of what has ended."""

from __future__ import annotations

import pytest

from processpool.core.jobs import Batch, Origin
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
    assert (record.queued, record.running, record.worker_id, record.pid) == (1.0, 1.0, 5, 6)


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
