from __future__ import annotations

from typing import Any

from processpool.snapshot import MapSnapshot
from processpool.widget.ended import KEPT, Ended
from tests.widget.snapshots import pool, run


def ended(*looks: tuple[tuple[MapSnapshot, ...], int, int]) -> list[MapSnapshot]:
    """What is remembered after looks a quarter of a second apart: maps, finished, failed."""
    memory = Ended()
    for number, (maps, finished, failed) in enumerate(looks):
        at = 100 + number / 4
        memory.note(pool(at=at, maps=maps, finished=finished, failed=failed))
    return list(memory.maps)


def test_a_map_that_has_ended_is_complete() -> None:
    (last,) = ended(((run(1, done=7, total=10),), 7, 0), ((), 10, 0))
    assert last == MapSnapshot(1, "map 1", 10, 0, 10, 6.125)
    assert last.complete


def test_a_map_that_was_stopped_is_not() -> None:
    (last,) = ended(((run(1, done=3, total=10),), 3, 0), ((), 4, 0))
    assert (last.done, last.complete) == (4, False)


def test_the_last_items_may_have_failed() -> None:
    lost = ended(((run(1, done=8, total=10),), 8, 0), ((), 9, 1))
    with_errors = ended(((run(1, done=8, total=10),), 8, 0), ((), 10, 2))
    assert [(last.done, last.failed) for last in lost + with_errors] == [(10, 1), (10, 2)]


def test_what_other_maps_have_done_meanwhile_does_not_count() -> None:
    before = (run(1, done=3, total=100), run(2, done=0, total=100))
    after = (run(2, done=50, total=100, failed=1), run(3, done=2, total=5))
    (last,) = ended((before, 3, 0), (after, 56, 1))
    assert (last.done, last.failed, last.complete) == (4, 0, False)


def test_the_next_map_may_have_begun_meanwhile() -> None:
    (last,) = ended(((run(1, done=7, total=10),), 7, 0), ((run(2, done=6, total=12),), 16, 0))
    assert (last.done, last.complete) == (10, True)


def test_of_two_that_end_at_once_the_last_look_counts() -> None:
    before = (run(1, done=9, total=10), run(2, done=3, total=4))
    assert [(last.id, last.done) for last in ended((before, 12, 0), ((), 14, 0))] == [
        (1, 9),
        (2, 3),
    ]


def test_without_a_total_nothing_is_called_complete() -> None:
    (last,) = ended(((run(1, done=7, total=None),), 7, 0), ((), 9, 0))
    assert (last.done, last.complete) == (9, False)


def test_memory_is_bounded() -> None:
    looks: list[Any] = [((run(number, done=1, total=1),), number, 0) for number in range(1, 50)]
    kept = ended(*looks)
    assert [last.id for last in kept] == list(range(49 - KEPT, 49))
