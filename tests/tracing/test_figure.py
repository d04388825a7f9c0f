from __future__ import annotations

from xml.etree import ElementTree

import pytest

from processpool.tracing.drawing import assign_lanes, merged
from processpool.tracing.figure import _Page, ticks
from processpool.tracing.recorder import Born, Died, Mark, Span


def test_a_replacement_takes_the_free_lane() -> None:
    lives: list[Born | Died] = [
        Born(1, 0.0, 100, 1),
        Born(2, 0.0, 101, 2),
        Died(1, 1.0, 1),
        Born(3, 2.0, 102, 2),
        Born(4, 2.0, 103, 3),
    ]
    assert assign_lanes(lives, []) == {1: 0, 2: 1, 3: 0, 4: 2}


def test_a_worker_whose_beginning_is_forgotten_has_a_lane_too() -> None:
    assert assign_lanes([], [Span(7, 0, 1, "item")]) == {7: 0}


def test_spans_that_no_eye_can_tell_apart_are_one() -> None:
    spans = [Span(1, n / 1000, (n + 1) / 1000, "item", n) for n in range(1000)]
    few = merged(spans, {1: 0}, gap=0.01)
    assert len(few) < 120
    assert (few[0].begin, few[-1].end) == (0.0, 1.0)
    assert sum(span.count for span in few) == 1000


def test_long_spans_stay_as_they_are() -> None:
    spans = [Span(1, 0.0, 1.0, "item", 0), Span(1, 1.0, 2.0, "item", 1)]
    assert merged(spans, {1: 0}, gap=0.01) == spans


@pytest.mark.parametrize("seconds", [0.0005, 0.3, 1.0, 7.0, 59.0, 3600.0, 1e6])
def test_there_are_never_too_many_times_on_the_axis(seconds: float) -> None:
    times = ticks(seconds)
    assert times[0] == 0
    assert times[-1] <= seconds
    assert 2 <= len(times) <= 11


def test_names_are_escaped() -> None:
    page = _Page(0.0, 1.0, 2)
    svg = page.wrap([page.flag(Mark(1, 0.5, "<script>", "bad", "&"), 0)], "<b>")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
