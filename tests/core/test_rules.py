"""The smaller rules, each at its edge: policies, slots, failed starts, timers, the fleet."""

from __future__ import annotations

from typing import Any

import pytest

from processpool.core.deadlines import Deadlines
from processpool.core.exit_reason import ExitReason
from processpool.core.fleet import Fleet
from processpool.core.policy import MAX_DOUBLINGS, Policy, resized
from processpool.core.restarts import Restarts
from processpool.core.slot import Slot
from processpool.core.states import IllegalTransition, WorkerEvent, WorkerState


def policy(**numbers: Any) -> Policy:
    usual: dict[str, Any] = {"min": 1, "max": 4, "spare": 4, "backoff": (1.0, 8.0)}
    return Policy(**(usual | numbers))


class TestPolicy:
    def test_the_defaults_are_those_of_the_yaml(self) -> None:
        usual = Policy(min=1, max=2, spare=2)
        assert (usual.start, usual.idle, usual.exit) == (30.0, 300.0, 5.0)
        assert (usual.window, usual.attempts, usual.max_failures) == (1, 1, 5)
        assert (usual.failures_within, usual.backoff) == (10.0, (0.1, 30.0))
        assert not (usual.takes_back)
        assert not (usual.dumps_stacks)
        assert not (usual.recycles)
        assert usual.recycle_jitter() == usual.jitter() == 1.0

    def test_it_recycles_by_number_or_age(self) -> None:
        assert policy(recycle_requests=1).recycles
        assert policy(recycle_age=1.0).recycles
        assert not policy(recycle_memory=1).recycles

    @pytest.mark.parametrize(("attempts", "again"), [(1, True), (2, True), (3, False), (4, False)])
    def test_attempts_count_the_first(self, attempts: int, again: bool) -> None:
        thrice = policy(attempts=3, retry_on=frozenset({"crash"}))
        assert thrice.retries("crash", attempts) is again
        assert not thrice.retries("error", attempts)

    def test_the_delay_doubles_up_to_its_limit(self) -> None:
        assert [policy().delay(n) for n in range(6)] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
        assert policy(backoff=(1e-20, 1e9)).delay(10**6) == 1e-20 * 2**MAX_DOUBLINGS
        assert 2**MAX_DOUBLINGS > 1e18
        assert policy(jitter=lambda: 0.5).delay(1) == 1.0

    @pytest.mark.parametrize(
        ("sizes", "says"),
        [
            ((-1, None, None), "size.min must be a whole number of workers, got -1"),
            ((None, True, None), "size.max must be a whole number of workers, got True"),
            ((None, None, 1.5), "size.spare must be a whole number of workers, got 1.5"),
            ((0, 0, None), r"at least 1 and at least size.min \(0\), got 0"),
            ((5, 4, None), r"size.min \(5\), got 4"),
            ((2, 4, 1), r"between size.min \(2\) and size.max \(4\), got 1"),
            ((2, 4, 5), r"between size.min \(2\) and size.max \(4\), got 5"),
        ],
    )
    def test_sizes_that_cannot_be(self, sizes: tuple[Any, Any, Any], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            resized(policy(), *sizes)

    @pytest.mark.parametrize(
        ("sizes", "are"),
        [
            ((0, 1, 0), (0, 1, 0)),
            ((0, 1, 1), (0, 1, 1)),
            ((4, 4, 4), (4, 4, 4)),
            ((None, 2, None), (1, 2, 2)),
            ((6, None, None), (6, 6, 6)),
            ((None, 9, None), (1, 9, 4)),
            ((None, None, 2), (1, 4, 2)),
        ],
    )
    def test_sizes_that_can(
        self, sizes: tuple[int | None, int | None, int | None], are: tuple[int, int, int]
    ) -> None:
        found = resized(policy(), *sizes)
        assert (found.min, found.max, found.spare) == are
        assert found.backoff == (1.0, 8.0), "the other numbers stay"


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


class TestRestarts:
    def test_once_too_often_is_once_more_than_allowed(self) -> None:
        restarts, twice = Restarts(), policy(max_failures=2, failures_within=10.0)
        assert [restarts.failed(twice, t) for t in (0.0, 1.0, 2.0)] == [False, False, True]
        assert restarts.next_at == 2.0 + 4.0

    def test_those_of_long_ago_are_forgotten_at_the_edge(self) -> None:
        twice = policy(max_failures=1, failures_within=10.0)
        restarts = Restarts()
        assert not restarts.failed(twice, 0.0)
        assert restarts.failed(twice, 10.0), "just within"
        restarts = Restarts()
        assert not restarts.failed(twice, 0.0)
        assert not restarts.failed(twice, 10.1)

    def test_the_first_kill_is_forgiven_and_costs_no_time(self) -> None:
        restarts, numbers = Restarts(), policy(max_failures=2)
        assert restarts.may_be_chance
        assert not restarts.killed(numbers, 5.0)
        assert (restarts.next_at, restarts.in_a_row) == (0.0, 1)
        assert not restarts.may_be_chance
        assert not restarts.killed(numbers, 5.0)
        assert restarts.next_at == 6.0
        assert restarts.killed(numbers, 5.0), "three in a row, of a program that never started"
        assert restarts.next_at == 7.0

    def test_a_program_that_has_started_once_may_be_killed_any_number_of_times(self) -> None:
        restarts, numbers = Restarts(), policy(max_failures=0)
        restarts.succeeded()
        assert restarts.in_a_row == 0
        assert not any(restarts.killed(numbers, 5.0) for _ in range(9))
        assert restarts.may_be_chance
        assert restarts.next_at == 6.0, "the first back-off, whatever came before"

    def test_a_success_begins_anew_and_a_reset_forgets_all(self) -> None:
        restarts, numbers = Restarts(), policy(max_failures=1)
        restarts.failed(numbers, 0.0)
        restarts.succeeded()
        assert restarts.failed(numbers, 1.0), "they count within their time all the same"
        assert restarts.next_at == 2.0
        restarts.reset()
        assert (restarts.next_at, restarts.in_a_row) == (0.0, 0)
        assert not restarts.failed(numbers, 1.0)

    def test_while_one_is_being_ended_no_other_is_started(self) -> None:
        restarts, numbers = Restarts(), policy()
        restarts.hold(numbers, 5.0)
        assert (restarts.next_at, restarts.in_a_row) == (6.0, 0)
        restarts.next_at = 50.0
        restarts.hold(numbers, 5.0)
        assert restarts.next_at == 50.0


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


class TestFleet:
    def test_a_worker_that_is_told_the_impossible_stays_as_it_is(self) -> None:
        fleet = Fleet(policy())
        slot = fleet.add(0.0)
        with pytest.raises(IllegalTransition):
            fleet.move(slot, WorkerEvent.FINISHED)
        assert slot.state is WorkerState.STARTING
        assert fleet.counts[WorkerState.STARTING] == 1
        assert sum(fleet.counts.values()) == 1

    def test_one_that_leaves_is_in_no_index(self) -> None:
        fleet = Fleet(policy())
        slot = fleet.add(0.0)
        fleet.idle[slot.id] = fleet.has_capacity[slot.id] = fleet.prefetching[slot.id] = slot
        slot.expiring, fleet.expiring = True, 1
        Deadlines(fleet.slots).set(slot, 5.0)
        fleet.leave(slot, ExitReason.IDLE)
        assert not (fleet.idle)
        assert not (fleet.has_capacity)
        assert not (fleet.expiring)
        assert (slot.exit_reason, slot.deadline) == (ExitReason.IDLE, None)
        assert fleet.alive == 0
        fleet.remove(slot.id)
        assert not (fleet.slots)
        assert not (fleet.prefetching)
        assert not (fleet.expiring)
        assert not (any(fleet.counts.values()))

    def test_one_that_expires_does_not_count_against_max_and_its_death_is_noted(self) -> None:
        fleet = Fleet(policy())
        slot, other = fleet.add(0.0), fleet.add(0.0)
        slot.expiring, fleet.expiring = True, 1
        slot.load = fleet.running = 3
        assert fleet.alive == 1
        assert fleet.remove(slot.id) is slot
        assert (fleet.alive, fleet.expiring, fleet.running) == (1, 0, 0)
        assert list(fleet.slots.values()) == [other]

    def test_no_more_than_max_work_at_a_time(self) -> None:
        fleet = Fleet(policy(min=1, max=1, spare=1))
        slot, other = fleet.add(0.0), fleet.add(0.0)
        for one in (slot, other):
            fleet.move(one, WorkerEvent.READY)
            fleet.idle[one.id] = one
        assert fleet.has_free_worker
        assert fleet.take_idle(7.0) is other
        assert (other.since, other.state) == (7.0, WorkerState.LEASED)
        assert list(fleet.idle) == [slot.id]
        assert not fleet.has_free_worker
