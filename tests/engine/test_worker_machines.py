"""The machines of a worker: what their tables allow, what they refuse, and where they lead."""

from __future__ import annotations

import os
import signal
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from processpool.core.machine import IllegalTransition, Machine
from processpool.engine.workers.attribution import (
    LATENESS,
    Attribution,
    Lateness,
    LatenessEvent,
)
from processpool.engine.workers.channel import CHANNEL, Channel, ChannelEvent, ChannelState
from processpool.engine.workers.listening import LISTENING, Listening, ListeningEvent, listening
from processpool.engine.workers.owner import OWNERS, Owner, OwnerEvent, owner
from processpool.engine.workers.readiness import (
    READINESS,
    Readiness,
    ReadinessEvent,
    ReadinessState,
)
from processpool.engine.workers.stderr import StderrLog
from processpool.system.process import Command, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MACHINES: list[tuple[Any, Any, Any, Callable[[], Machine[Any, Any]]]] = [
    (Listening, ListeningEvent, LISTENING, listening),
    (Owner, OwnerEvent, OWNERS, owner),
    (ReadinessState, ReadinessEvent, READINESS, lambda: Readiness(-1, bool)),
    (Lateness, LatenessEvent, LATENESS, lambda: Attribution(StderrLog(2))),
    (ChannelState, ChannelEvent, CHANNEL, lambda: Machine("it", CHANNEL, ChannelState.OPEN)),
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


class TestReadiness:
    def test_one_that_says_nothing_is_looked_at(self) -> None:
        assert Readiness(-1).state is ReadinessState.PROBED

    def test_one_that_is_to_say_so_is_not(self) -> None:
        readiness = Readiness(-1, bool)
        assert readiness.state is ReadinessState.AWAITED
        with pytest.raises(IllegalTransition):
            readiness.on(ReadinessEvent.SEEN)

    def test_it_is_ready_once(self) -> None:
        readiness = Readiness(-1)
        readiness.on(ReadinessEvent.SEEN)
        with pytest.raises(IllegalTransition):
            readiness.on(ReadinessEvent.SAID)


class TestAttribution:
    def test_three_answers_in_time_are_enough(self, stderr: Stderr) -> None:
        attribution = Attribution(stderr.log)
        for number in range(3):
            assert attribution.state is Lateness.UNKNOWN
            attribution.hold([number])
            assert attribution.release() == [number]
        assert attribution.state is Lateness.PROMPT

    def test_what_comes_while_an_answer_is_held_is_late(self, stderr: Stderr) -> None:
        attribution = Attribution(stderr.log)
        attribution.hold(["answer"])
        os.write(stderr.end, b"late")
        assert attribution.release() == ["answer"]
        assert attribution.state is Lateness.LATE
        assert stderr.log.take() == "late"

    def test_one_that_was_late_once_is_not_trusted_again(self, stderr: Stderr) -> None:
        attribution = Attribution(stderr.log)
        attribution.caught()
        for number in range(9):
            attribution.hold([number])
            attribution.release()
        assert attribution.state is Lateness.LATE

    def test_nothing_is_released_that_was_not_held(self, stderr: Stderr) -> None:
        assert Attribution(stderr.log).release() == []


class TestChannel:
    def test_it_sees_that_nobody_reads_without_writing(self, process: Process) -> None:
        channel = Channel(process)
        assert not channel.has_no_reader()
        process.signal(signal.SIGKILL)
        assert process.wait(30)
        assert channel.has_no_reader()
        assert not channel.nobody_reads, "only whoever has the worker notes that"
        assert channel.stdin in channel.look()
        assert channel.nobody_reads
        assert channel.stdin not in channel.look(), "it is told once"

    def test_both_ends_make_an_end(self, process: Process) -> None:
        channel = Channel(process)
        process.signal(signal.SIGKILL)
        assert process.wait(30)
        channel.write_on(b"hello")
        assert channel.read() == b""
        assert channel.state is ChannelState.ENDED
        assert channel.nobody_reads
        assert channel.has_ended

    def test_its_last_words_are_the_last(self, process: Process) -> None:
        channel = Channel(process)
        channel.end_input(b"quit\n")
        assert process.wait(30)
        assert channel.read() == b"quit\n"
        channel.write_on(b"more")
        assert channel.nobody_reads


class Stderr(NamedTuple):
    """A log, and the end of the pipe that a worker would write to."""

    log: StderrLog
    end: int


@pytest.fixture
def stderr() -> Iterator[Stderr]:
    """The stderr of no process."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    yield Stderr(StderrLog(ours), theirs)
    os.close(ours)
    os.close(theirs)


@pytest.fixture
def process() -> Iterator[Process]:
    """A process that echoes."""
    process = Process(Command(("cat",), "/", {"PATH": os.environ["PATH"]}))
    yield process
    process.signal(signal.SIGKILL)
    process.reap()
    process.close()
