from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.tracing.chrome import opening, trace_events
from processpool.tracing.recorder import Born, Died, Mark, Span

if TYPE_CHECKING:
    from processpool.tracing.recorder import Fact


def written(fact: Fact) -> list[dict[str, Any]]:
    return list(trace_events(fact, began=10.0, pid=7))


def test_an_item_is_a_complete_event_in_microseconds() -> None:
    assert written(Span(3, 10.5, 10.75, "item", 4, 2, 1)) == [
        {
            "name": "items 4-5",
            "cat": "item",
            "ph": "X",
            "ts": 500_000,
            "dur": 250_000,
            "pid": 7,
            "tid": 3,
            "args": {"map": 1, "index": 4, "items": 2},
        }
    ]


def test_a_worker_is_a_thread_with_a_name() -> None:
    name, order, counter = written(Born(3, 10.0, 100, alive=2))
    assert (name["tid"], name["args"]) == (3, {"name": "worker 3 (pid 100)"})
    assert order["args"] == {"sort_index": 3}
    assert (counter["ph"], counter["args"]) == ("C", {"alive": 2})


def test_growth_and_shrinking_are_a_counter() -> None:
    assert [event["args"] for event in written(Died(3, 11.0, alive=1))] == [{"alive": 1}]


def test_a_mark_belongs_to_a_worker_or_to_all() -> None:
    theirs, everyone = (
        written(Mark(3, 11.0, "x", "bad"))[0],
        written(Mark(None, 11.0, "y", "note"))[0],
    )
    assert (theirs["ph"], theirs["s"], theirs["tid"]) == ("i", "t", 3)
    assert (everyone["ph"], everyone["s"], everyone["tid"]) == ("i", "t", 0)


def test_rounding_makes_no_span_overlap_the_next() -> None:
    first, second = Span(3, 10.0, 10.0000016, "item"), Span(3, 10.0000016, 10.1, "item")
    before, after = written(first)[0], written(second)[0]
    assert before["ts"] + before["dur"] <= after["ts"]


def test_the_process_has_the_name_of_the_pool() -> None:
    assert next(opening("demo", 7))["args"] == {"name": "pool demo"}


def test_nothing_happens_before_the_beginning() -> None:
    assert written(Span(3, 9.0, 9.5, "start"))[0]["ts"] == 0
