"""Where a map stands: what happens goes in, and what its consumer is to do comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from processpool.api.eager_state import EagerState
from processpool.api.map_state import LazyState, MapState, Run, Step
from processpool.core.jobs import Batch, Job, Origin
from processpool.core.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Callable


class Nowhere(Job):
    """A job for the batches of these tests; its answers go to the state by hand."""

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        raise NotImplementedError

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        raise NotImplementedError


BAD = Reply(error=ZeroDivisionError("bad"))


def run(start: int, *answers: Any, plain: bool = False) -> Run:
    """Answers from a worker that are more than values."""
    batch = Batch(Nowhere(None), start, [None] * len(answers), 0.0)
    return Run(batch, list(answers), Origin(1, 101, 1.0, 2.0, plain=plain))


def eager(count: int, **options: Any) -> EagerState:
    """An eager map that has read all of its input."""
    state = EagerState(**options)
    state.allow(count)
    state.add(count)
    state.end_input()
    return state


def lazy(count: int, **options: Any) -> LazyState:
    """A lazy map that has read so many items, and may read as many."""
    state = LazyState(**options)
    state.allow(count)
    state.add(count)
    return state


def taken(state: MapState) -> list[Any]:
    """What the consumer can take now, as flat as it gets it, runs by their answers."""
    found = state.look()
    if not isinstance(found, list):
        return []
    answers = []
    for chunk in found:
        answers += chunk.answers if isinstance(chunk, Run) else chunk
    state.taken += len(answers)
    return answers


class TestReading:
    @pytest.mark.parametrize("state", [EagerState(), LazyState()])
    def test_until_as_much_is_there_as_is_allowed(self, state: MapState) -> None:
        state.allow(8)
        assert (state.room, state.look()) == (8, Step.READ)
        assert [state.add(1), state.add(4)] == [0, 1]
        assert (state.free, state.room) == (3, 0), "it is not worth it"
        assert state.look() is None

    def test_an_eager_map_reads_on_when_half_has_ended(self) -> None:
        state = EagerState()
        state.allow(8)
        state.add(8)
        assert [state.put(index, index) for index in range(4)] == [False, False, False, True]
        assert (state.room, state.look()) == (4, Step.READ)

    def test_a_lazy_map_reads_on_when_half_was_taken(self) -> None:
        state = lazy(8)
        state.put_run(0, list(range(8)))
        assert state.room == 0
        assert taken(state) == list(range(8))
        assert state.room == 8

    @pytest.mark.parametrize("state", [EagerState(), LazyState()])
    def test_nothing_after_the_end_of_the_input(self, state: MapState) -> None:
        state.allow(8)
        state.end_input()
        assert (state.room, state.look()) == (0, Step.END)
        assert state.counts(over=True) == (0, 0, 0, 0)

    def test_a_window_that_grows_lets_it_read_more(self) -> None:
        state = lazy(2)
        assert state.look() is None
        state.allow(20)
        assert (state.look(), state.room) == (Step.READ, 18)

    def test_with_a_buffer_of_one_an_item_at_a_time(self) -> None:
        state = lazy(1)
        assert state.room == 0
        state.put(0, "a")
        assert state.room == 0
        assert taken(state) == ["a"]
        assert state.room == 1


class TestEager:
    def test_every_answer_has_its_place(self) -> None:
        state = eager(6)
        woken = [state.put(5, "f"), state.put_run(2, ["c", "d"]), state.put(0, "a")]
        assert woken == [False] * 3
        assert state.look() is None
        assert [state.put(4, "e"), state.put(1, "b")] == [False, True]
        assert state.look() is Step.END
        assert state.results == list("abcdef")

    def test_the_consumer_opens_what_is_more_than_a_value_while_others_are_made(self) -> None:
        state = eager(3)
        assert state.record(run(1, Reply("b", stdout="said")))
        found = state.look()
        assert isinstance(found, list)
        assert [type(chunk) for chunk in found] == [Run]
        assert state.look() is None
        state.settle(1, ["b"])
        state.put(0, "a")
        assert state.put(2, "c")
        assert (state.look(), state.results) == (Step.END, ["a", "b", "c"])

    def test_an_error_ends_it_at_once(self) -> None:
        state = eager(4, stops_at_error=True)
        assert state.record(run(2, "c", BAD))
        assert state.look() is Step.END
        assert state.failure is not None
        assert state.failure.record.index == 3
        assert state.ending is state.failure

    def test_the_first_error_counts(self) -> None:
        state = eager(4, stops_at_error=True)
        state.record(run(3, BAD))
        state.record(run(0, BAD))
        assert state.failure is not None
        assert state.failure.record.index == 3

    def test_an_input_that_raises_ends_it_at_once(self) -> None:
        state = EagerState()
        state.allow(8)
        state.add(2)
        state.end_input(error := LookupError())
        assert (state.look(), state.ending) == (Step.END, error)

    def test_watched_it_wakes_for_each_answer(self) -> None:
        state = eager(3, watched=True)
        assert state.put(1, "b")
        assert [state.look(), state.look()] == [Step.READ, None]


class TestInOrder:
    def test_only_the_next_one_wakes(self) -> None:
        state = lazy(5)
        assert [state.put(2, "c"), state.put_run(3, ["d", "e"])] == [False, False]
        assert state.look() is None
        assert state.put_run(0, ["a", "b"])
        assert taken(state) == list("abcde")

    def test_values_and_more_than_values(self) -> None:
        state = lazy(5)
        state.record(run(3, "d", BAD))
        state.put(0, "a")
        assert taken(state) == ["a"]
        state.put_run(1, ["b", "c"])
        assert taken(state) == ["b", "c", "d", BAD]

    def test_an_error_waits_for_its_place(self) -> None:
        state = lazy(3, stops_at_error=True)
        assert not state.record(run(1, BAD))
        assert state.exhausted, "nothing more is read"
        assert state.look() is None
        assert state.put(0, "a")
        assert taken(state) == ["a", BAD]

    def test_it_ends_where_an_item_never_starts(self) -> None:
        state = lazy(4)
        state.put(0, "a")
        assert state.drop(2, 2, error := RuntimeError())
        assert taken(state) == ["a"]
        assert state.look() is None, "the one before that may still come"
        assert state.put(1, "b")
        assert taken(state) == ["b"]
        assert (state.look(), state.ending) == (Step.END, error)

    def test_an_error_of_the_input_comes_behind_its_items(self) -> None:
        state = lazy(2)
        state.end_input(error := LookupError())
        state.put(0, "a")
        assert taken(state) == ["a"]
        assert state.look() is None
        state.put(1, "b")
        assert taken(state) == ["b"]
        assert (state.look(), state.ending) == (Step.END, error)

    def test_endless_input_is_kept_only_until_it_is_taken(self) -> None:
        state = LazyState()
        state.allow(4)
        for turn in range(1000):
            start = state.add(state.room)
            for index in reversed(range(start, start + 4)):
                state.put(index, index)
            assert taken(state) == list(range(turn * 4, turn * 4 + 4))
            assert state.outstanding == 0
        assert state.look() is Step.READ
        assert not state._early


class TestAsTheyCome:
    def test_every_answer_wakes(self) -> None:
        state = lazy(4, ordered=False)
        assert state.put(3, "d")
        assert state.put_run(1, ["b", "c"])
        assert taken(state) == list("dbc")

    def test_what_never_starts_holds_no_other_back(self) -> None:
        state = lazy(3, ordered=False)
        state.drop(0, 1, error := RuntimeError())
        assert state.look() is None
        state.put_run(1, ["b", "c"])
        assert taken(state) == ["b", "c"]
        assert (state.look(), state.ending) == (Step.END, error)


class TestEnding:
    @pytest.mark.parametrize("state", [eager(2), lazy(2), lazy(2, ordered=False)])
    def test_one_that_is_stopped_is_over_at_once(self, state: MapState) -> None:
        state.stop(error := RuntimeError("stopped"))
        assert (state.look(), state.ending, state.room) == (Step.END, error, 0)

    def test_what_was_there_before_it_was_stopped_can_be_taken(self) -> None:
        state = lazy(2)
        state.put(0, "a")
        state.stop(RuntimeError())
        assert taken(state) == ["a"]
        assert state.look() is Step.END

    def test_the_item_that_failed_is_the_reason_whatever_else_happens(self) -> None:
        state = lazy(3, stops_at_error=True)
        state.record(run(1, BAD))
        state.drop(2, 1, None)
        state.drop(0, 1, RuntimeError())
        assert state.look() is Step.END
        assert state.ending is state.failure


def unordered(count: int) -> LazyState:
    return lazy(count, ordered=False)


STATES = [eager, lazy, unordered]


@pytest.mark.parametrize("make", STATES)
class TestCounts:
    def test_an_item_is_outstanding_or_done_or_cancelled(self, make: Any) -> None:
        state = make(10)
        events: list[Callable[[], object]] = [
            lambda: state.put(4, "e"),
            lambda: state.put_run(0, ["a", "b"]),
            lambda: state.record(run(2, "c", BAD)),
            lambda: state.drop(5, 2, None),
            lambda: state.record(run(7, BAD, "i"), cancelled=True),
            lambda: state.drop(9, 1, None),
        ]
        ended = []
        for event in events:
            event()
            done, failed, cancelled, _ = state.counts(over=False)
            assert done + cancelled + state.outstanding == 10
            ended.append((done, failed, cancelled))
        assert ended == [(1, 0, 0), (3, 0, 0), (5, 1, 0), (5, 1, 2), (6, 1, 3), (6, 1, 4)]
        assert state.counts(over=True) == (6, 1, 4, 10)

    def test_when_it_is_over_what_runs_for_nobody_is_cancelled(self, make: Any) -> None:
        state = make(4)
        state.put(0, "a")
        done, failed, cancelled, _ = state.counts(over=True)
        assert (done, failed, cancelled) == (1, 0, 3)


def test_when_it_is_over_what_was_never_read_is_cancelled() -> None:
    state = LazyState(100)
    state.add(4)
    state.put(0, "a")
    assert state.counts(over=False) == (1, 0, 0, 100)
    assert state.counts(over=True) == (1, 0, 99, 100)


def test_the_total_is_known_at_the_end_of_the_input_whatever_was_said_before() -> None:
    state = LazyState(100)
    state.add(4)
    state.end_input()
    assert state.counts(over=False).total == 4
    unknown = LazyState()
    unknown.add(4)
    assert unknown.counts(over=False).total is None
