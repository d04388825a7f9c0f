"""Counts and indexes of workers agree with their states."""

from __future__ import annotations

import pytest

from processpool.core.deadlines import Deadlines
from processpool.core.exit_reason import ExitReason
from processpool.core.fleet import Fleet
from processpool.core.machine import IllegalTransition
from processpool.core.states import WorkerEvent, WorkerState
from tests.core.scheduling import policy


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
