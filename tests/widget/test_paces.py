from __future__ import annotations

import pytest

from processpool.widget.paces import Paces
from tests.widget.snapshots import busy, pool, worker


def test_the_rate_is_taken_over_two_seconds() -> None:
    paces = Paces()
    for quarter in range(40):
        paces.note(pool(at=100 + quarter / 4, finished=quarter * 5))
    assert paces.rate == pytest.approx(20)


def test_the_rate_falls_to_zero_when_nothing_happens() -> None:
    paces = Paces()
    for quarter in range(40):
        paces.note(pool(at=100 + quarter / 4, finished=min(quarter, 10)))
    assert paces.rate == 0


def test_an_item_lasts_from_its_hand_over_to_that_of_the_next() -> None:
    paces = Paces()
    paces.note(pool(busy(1, item=0, age=0.5), at=100.0))
    paces.note(pool(busy(1, item=1, age=0.25, handled=1), at=101.0))
    assert paces.typical == pytest.approx(1.25)


def test_several_items_between_two_looks_share_the_time() -> None:
    paces = Paces()
    paces.note(pool(busy(1, item=0, age=0.0), at=100.0))
    paces.note(pool(busy(1, item=4, age=0.0, handled=4), at=101.0))
    assert paces.typical == pytest.approx(0.25)


@pytest.mark.parametrize(("age", "late"), [(2.9, False), (3.5, True)])
def test_an_item_is_late_beyond_three_times_the_median(age: float, late: bool) -> None:
    paces = Paces()
    paces.note(pool(busy(1, item=0, age=0.0), at=100.0))
    paces.note(pool(busy(1, item=1, age=0.0, handled=1), at=101.0))
    assert (1 in paces.late([busy(1, item=1, age=age)])) is late


def test_a_short_item_is_never_late() -> None:
    paces = Paces()
    paces.note(pool(busy(1, item=0, age=0.0), at=100.0))
    paces.note(pool(busy(1, item=100, age=0.0, handled=100), at=100.25))
    assert not paces.late([busy(1, item=100, age=0.9)])


def test_nothing_is_late_before_anything_has_ended() -> None:
    assert not Paces().late([busy(1, item=0, age=1e6)])


def test_cpu_use_is_that_between_two_looks() -> None:
    paces = Paces()
    paces.note(pool(worker(1, cpu=1.0, memory=5, age=4.0), at=100.0))
    assert paces.cpu == {1: pytest.approx(25)}
    paces.note(pool(worker(1, age=4.5), at=100.5))
    paces.note(pool(worker(1, cpu=1.5, memory=7, age=5.0), at=101.0))
    assert paces.cpu == {1: pytest.approx(50)}
    assert paces.memory == {1: 7}


def test_those_who_left_are_forgotten() -> None:
    paces = Paces()
    paces.note(pool(worker(1, cpu=1.0, memory=5), at=100.0))
    paces.note(pool(worker(2, cpu=1.0, memory=5), at=101.0))
    assert set(paces.cpu) == set(paces.memory) == {2}


def test_long_is_twice_what_is_usual_while_there_is_more_to_do() -> None:
    paces = Paces()
    assert paces.long(queued=10) == 1
    paces.note(pool(busy(1, item=0, age=0.0), at=100.0))
    paces.note(pool(busy(1, item=1, age=0.0, handled=1), at=103.0))
    assert paces.long(queued=10) == pytest.approx(6)
    assert paces.long(queued=0) == 1
