"""What the panel advises while a map runs, and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool import ProcessPool
from processpool.core.run_record import RunRecord
from processpool.widget.advice import JUDGED_AFTER, JUDGED_EVERY, Adviser
from tests.widget.snapshots import pool, run

if TYPE_CHECKING:
    from processpool.core.snapshot import MapSnapshot


class Records:
    """A pool of which only the records are known."""

    def __init__(self, *records: RunRecord) -> None:
        self.found = records
        self.looks = 0

    def records(self) -> tuple[RunRecord, ...]:
        self.looks += 1
        return self.found


def slow_input(number: int = 1) -> RunRecord:
    """A map whose workers waited for its input, for most of ten seconds."""
    made = RunRecord(number, "f", 0.0, slots=2)
    for turn in range(100):
        made.note(turn % 2, 1 + turn % 2, turn, 1, turn * 0.1, turn * 0.1 + 0.02)
    made.phases.reading = 9.0
    return made


def look(adviser: Adviser, records: Any, at: float, *maps: MapSnapshot, **changes: Any) -> None:
    adviser.look(records, pool(at=at, maps=maps, **changes))


def test_a_map_that_runs_is_judged_after_a_while_and_now_and_then() -> None:
    ProcessPool  # noqa: B018 - registers the reports
    adviser, records = Adviser(), Records(slow_input())
    look(adviser, records, 101.0, run(seconds=JUDGED_AFTER - 1))
    assert (adviser.line, records.looks) == (None, 0)
    for quarter in range(12):
        look(adviser, records, 102 + quarter / 4, run(seconds=JUDGED_AFTER + quarter / 4))
    assert adviser.line is not None
    assert adviser.line[0].startswith("map 1: workers idle")
    assert records.looks == 1
    look(adviser, records, 200 + JUDGED_EVERY, run(seconds=100.0))
    assert records.looks == 2


def test_what_is_said_of_a_map_stays_when_it_has_ended() -> None:
    adviser, records = Adviser(), Records(slow_input())
    ended = run(done=10, total=10, seconds=10.0)
    for second in range(3):
        look(adviser, records, 100.0 + second, ended_maps=(ended,))
    assert adviser.line is not None
    assert records.looks == 1


def test_nothing_is_said_of_a_map_that_took_no_time() -> None:
    adviser, records = Adviser(), Records(slow_input())
    look(adviser, records, 100.0, ended_maps=(run(done=10, total=10, seconds=10.0),))
    look(adviser, records, 101.0, ended_maps=(run(2, done=10, total=10, seconds=0.5),))
    assert adviser.line is None
