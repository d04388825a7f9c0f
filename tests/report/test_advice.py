"""What is advised of a map, and when nothing is."""

from __future__ import annotations

from processpool.core.run_record import RunRecord
from processpool.report import advise


def record(busy: float, *, items: int = 100, slots: int = 2, ended: bool = True) -> RunRecord:
    """A map of ten seconds whose workers were busy for this part of them."""
    made = RunRecord(1, "f", 0.0, slots=slots)
    each = 10.0 * slots / items
    for number in range(items):
        slot, turn = number % slots, number // slots
        made.note(slot, 1 + slot, number, 1, turn * each, turn * each + busy * each)
    made.ended = 10.0 if ended else None
    return made


def test_of_a_slow_input() -> None:
    made = record(0.4, ended=False)
    made.phases.reading = 9.0
    advice = advise(made)
    assert advice is not None
    assert advice.line.startswith("workers idle 60 %: reading the input is the bottleneck. More")
    assert "waiting for the next item" in advice.why


def test_workers_that_are_busy_need_none_where_there_are_no_more_cpus() -> None:
    made = record(1.0, slots=1000, items=2000)
    made.phases.waiting = 9.0
    assert advise(made) is None


def test_very_short_items_are_said_to_be() -> None:
    made = RunRecord(1, "f", 0.0, slots=1)
    for number in range(100):
        made.note(0, 1, number, 100_000, number * 0.1, number * 0.1 + 0.1)
    made.phases.waiting = 9.0
    advice = advise(made)
    assert advice is not None
    assert "very short items" in advice.line


def test_the_last_items_are_only_known_once_it_has_ended() -> None:
    made = record(1.0, items=10, ended=False)
    made.note(0, 1, 10, 1, 10.0, 30.0)
    assert advise(made) is None
    made.ended = 30.0
    advice = advise(made)
    assert advice is not None
    assert "waited for the last items" in advice.line


def test_of_nothing() -> None:
    assert advise(RunRecord(1, "f", 0.0)) is None


def test_a_few_items_tell_nothing() -> None:
    made = record(0.1, items=8)
    made.phases.reading = 9.0
    assert advise(made) is None
