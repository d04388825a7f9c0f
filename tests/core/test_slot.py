"""What one worker may still be given, and when it is to have a successor."""

from __future__ import annotations

import pytest

from processpool.core.exit_reason import ExitReason
from processpool.core.slot import Slot
from tests.core.scheduling import policy


class TestSlot:
    def test_it_may_be_given_what_is_left_to_its_limit(self) -> None:
        slot = Slot(1, 0.0, policy(recycle_requests=10))
        slot.handled, slot.load = 4, 3
        assert slot.remaining == 3
        assert slot.takes_more
        slot.load = 6
        assert not slot.takes_more
        slot.load, slot.retiring = 0, ExitReason.RESTARTED
        assert not slot.takes_more
        assert Slot(1, 0.0, policy()).remaining is None

    @pytest.mark.parametrize(
        ("limit", "handled", "load", "expires"),
        [
            (20, 17, 0, False),
            (20, 18, 0, True),
            (20, 17, 1, True),
            (20, 0, 0, False),
            (9, 8, 0, False),
            (9, 9, 0, True),
            (1, 0, 0, False),
            (1, 0, 1, True),
            (1, 1, 0, True),
        ],
    )
    def test_a_successor_is_due_when_a_tenth_is_left(
        self, limit: int, handled: int, load: int, expires: bool
    ) -> None:
        slot = Slot(1, 0.0, policy(recycle_requests=limit))
        slot.handled, slot.load = handled, load
        assert slot.expires(1e9) is expires

    def test_or_at_its_age(self) -> None:
        slot = Slot(1, 100.0, policy(recycle_age=10.0))
        assert not slot.expires(109.9)
        assert slot.expires(110.0)
        assert not Slot(1, 0.0, policy()).expires(1e9)

    def test_its_limits_have_a_jitter_and_are_at_least_one(self) -> None:
        def slot(requests: int, jitter: float) -> Slot:
            numbers = policy(
                recycle_requests=requests, recycle_age=10.0, recycle_jitter=lambda: jitter
            )
            return Slot(1, 0.0, numbers)

        assert (slot(100, 1.1).max_requests, slot(100, 1.1).max_age) == (110, 11.0)
        assert slot(1, 0.1).max_requests == 1

    @pytest.mark.parametrize(
        ("reason", "costs"),
        [(None, False), (ExitReason.TIMEOUT, True), (ExitReason.RESTARTED, False)],
    )
    def test_why_it_ended_may_cost_its_item(self, reason: ExitReason | None, costs: bool) -> None:
        slot = Slot(1, 0.0, policy())
        slot.exit_reason = reason
        assert slot.costs_item is costs

    def test_it_began_when_it_was_made(self) -> None:
        slot = Slot(1, 5.0, policy())
        assert (slot.since, slot.started_at) == (5.0, 5.0)
