"""The tables of transitions: what they allow, what they refuse, and where they lead."""

from __future__ import annotations

from itertools import product

import pytest

from processpool.core.exit_reason import ExitReason
from processpool.core.machine import IllegalTransition
from processpool.core.policy import Policy
from processpool.core.scheduler import Scheduler
from processpool.core.states import (
    POOL_TRANSITIONS,
    TRANSITIONS,
    PoolEvent,
    PoolState,
    WorkerEvent,
    WorkerState,
    after,
    pool_after,
)

LEGAL = sorted(TRANSITIONS.items())
ILLEGAL = sorted(set(product(WorkerState, WorkerEvent)) - set(TRANSITIONS))


@pytest.mark.parametrize(("step", "follows"), LEGAL)
def test_a_legal_event_leads_where_the_table_says(
    step: tuple[WorkerState, WorkerEvent], follows: WorkerState
) -> None:
    assert after(*step) is follows


@pytest.mark.parametrize(("state", "event"), ILLEGAL)
def test_an_impossible_event_is_refused(state: WorkerState, event: WorkerEvent) -> None:
    with pytest.raises(IllegalTransition, match=rf"^a worker that is {state} cannot be {event}$"):
        after(state, event)


def test_every_state_is_reached_from_the_start() -> None:
    reached = {WorkerState.STARTING}
    while more := {to for (state, _), to in TRANSITIONS.items() if state in reached} - reached:
        reached |= more
    assert reached == set(WorkerState)


def test_a_worker_on_its_way_out_stays_there() -> None:
    assert not any(state is WorkerState.STOPPING for state, _ in TRANSITIONS)


def test_every_living_worker_can_be_stopped() -> None:
    living = set(WorkerState) - {WorkerState.STOPPING}
    assert {after(state, WorkerEvent.STOPPED) for state in living} == {WorkerState.STOPPING}


POOL_LEGAL = sorted(POOL_TRANSITIONS.items())
POOL_ILLEGAL = sorted(set(product(PoolState, PoolEvent)) - set(POOL_TRANSITIONS))


@pytest.mark.parametrize(("step", "follows"), POOL_LEGAL)
def test_a_legal_event_leads_a_pool_where_the_table_says(
    step: tuple[PoolState, PoolEvent], follows: PoolState
) -> None:
    assert pool_after(*step) is follows


@pytest.mark.parametrize(("state", "event"), POOL_ILLEGAL)
def test_what_cannot_happen_to_a_pool_raises_and_changes_nothing(
    state: PoolState, event: PoolEvent
) -> None:
    scheduler = Scheduler(Policy(min=1, max=1, spare=1))
    scheduler.state = state
    with pytest.raises(IllegalTransition, match=rf"^a pool that is {state} cannot be {event}$"):
        scheduler.change(event)
    assert scheduler.state is state


def test_every_state_of_a_pool_is_reached() -> None:
    reached = {PoolState.NEW}
    while more := {to for (state, _), to in POOL_TRANSITIONS.items() if state in reached} - reached:
        reached |= more
    assert reached == set(PoolState)


def test_a_pool_that_is_closed_can_only_be_forked() -> None:
    for state in (PoolState.CLOSED, PoolState.FORKED):
        assert [e for s, e in POOL_TRANSITIONS if s is state] == [PoolEvent.FORKED]


class TestExitReasons:
    def test_each_has_a_sentence(self) -> None:
        for reason in ExitReason:
            said = reason.sentence.format(limit=2.5, where="")
            assert said.split()[0] in {"was", "wrote", "closed", "broke", "did"}, reason
            assert "{" not in said
        assert ExitReason.RESIZED.sentence == "was ended (resized)"

    def test_those_that_cost_an_item(self) -> None:
        costly = {reason for reason in ExitReason if reason.costs_item}
        assert costly == {"timeout", "protocol", "closed stdout", "closed stdin within a request"}

    def test_those_that_count_as_a_failed_start(self) -> None:
        blamed = {reason for reason in ExitReason if reason.blames_start}
        assert blamed == {"start timeout", "garbled start", "wrote unasked", "closed stdin"}
