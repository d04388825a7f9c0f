"""The machines of a worker: what their tables allow, what they refuse, and where they lead."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from processpool.core.machine import IllegalTransition, Machine
from processpool.engine.workers.listening import LISTENING, Listening, ListeningEvent, listening
from processpool.engine.workers.owner import OWNERS, Owner, OwnerEvent, owner

if TYPE_CHECKING:
    from collections.abc import Callable

MACHINES: list[tuple[Any, Any, Any, Callable[[], Machine[Any, Any]]]] = [
    (Listening, ListeningEvent, LISTENING, listening),
    (Owner, OwnerEvent, OWNERS, owner),
]
STEPS = [
    pytest.param(make, table, state, event, id=f"{states.__name__}-{state.name}-{event.name}")
    for states, events, table, make in MACHINES
    for state, event in product(states, events)
]


@pytest.mark.parametrize(("make", "table", "state", "event"), STEPS)
def test_it_goes_where_the_table_says_and_nowhere_else(
    make: Callable[[], Machine[Any, Any]], table: dict[Any, Any], state: Any, event: Any
) -> None:
    machine = make()
    machine.state = state
    if (state, event) in table:
        machine.on(event)
        assert machine.state is table[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f" that is {state} cannot be {event}$"):
            machine.on(event)
        assert machine.state is state


@pytest.mark.parametrize(("states", "events", "table", "make"), MACHINES)
def test_every_state_is_reached_and_every_event_can_happen(
    states: Any, events: Any, table: dict[Any, Any], make: Callable[[], Machine[Any, Any]]
) -> None:
    reached = {make().state}
    while more := {to for (at, _), to in table.items() if at in reached} - reached:
        reached |= more
    assert reached == set(states)
    assert {event for _, event in table} == set(events)


def test_a_worker_returns_to_the_pool_whoever_had_it() -> None:
    machine = owner()
    for event in ("BORROWED", "KEPT", "BORROWED", "RETURNED", "LEASED", "RETURNED"):
        machine.on(OwnerEvent[event])
    assert machine.state is Owner.POOL


def test_nobody_takes_a_worker_that_somebody_has() -> None:
    machine = owner()
    machine.on(OwnerEvent.LEASED)
    for event in (OwnerEvent.LEASED, OwnerEvent.BORROWED):
        with pytest.raises(IllegalTransition):
            machine.on(event)
