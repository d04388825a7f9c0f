"""The table of transitions: what it allows, what it refuses, and where it leads."""

from __future__ import annotations

from itertools import product

import pytest

from processpool.core.states import TRANSITIONS, IllegalTransition, WorkerEvent, WorkerState, after

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
