"""Timers: who is due, in which order, and who no more."""

from __future__ import annotations

from processpool.core.deadlines import Deadlines
from processpool.core.slot import Slot
from tests.core.scheduling import policy


class TestDeadlines:
    def slots(self, count: int) -> tuple[dict[int, Slot], Deadlines]:
        slots = {number: Slot(number, 0.0, policy()) for number in range(1, count + 1)}
        return slots, Deadlines(slots)

    def test_those_whose_time_is_over_come_in_its_order(self) -> None:
        slots, deadlines = self.slots(3)
        for number, when in ((1, 3.0), (2, 1.0), (3, 2.0)):
            deadlines.set(slots[number], when)
        assert deadlines.next_at == 1.0
        assert [slot.id for slot in deadlines.pop_due(2.0)] == [2, 3]
        assert [slots[n].deadline for n in (1, 2, 3)] == [3.0, None, None]
        assert deadlines.next_at == 3.0

    def test_one_that_was_put_off_comes_later(self) -> None:
        slots, deadlines = self.slots(1)
        deadlines.set(slots[1], 1.0)
        deadlines.set(slots[1], 5.0)
        assert len(list(deadlines)) == 1, "it costs nothing"
        assert list(deadlines.pop_due(1.0)) == []
        assert deadlines.next_at == 5.0
        assert [slot.id for slot in deadlines.pop_due(5.0)] == [1]

    def test_one_that_was_put_forward_comes_once(self) -> None:
        slots, deadlines = self.slots(1)
        deadlines.set(slots[1], 5.0)
        deadlines.set(slots[1], 1.0)
        assert [slot.id for slot in deadlines.pop_due(1.0)] == [1]
        assert list(deadlines.pop_due(9.0)) == []
        assert deadlines.next_at is None

    def test_one_that_has_no_deadline_any_more_or_is_gone_does_not_come(self) -> None:
        slots, deadlines = self.slots(2)
        deadlines.set(slots[1], 1.0)
        deadlines.set(slots[2], 1.0)
        slots[1].deadline = None
        del slots[2]
        assert list(deadlines.pop_due(1.0)) == []
        assert slots[1].timer is None
        deadlines.set(slots[1], 7.0)
        assert deadlines.next_at == 7.0
