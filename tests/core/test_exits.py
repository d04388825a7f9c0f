"""The exit ladder: asked, warned, killed, one step after another, and nothing past SIGKILL."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from processpool.core.deadlines import Deadlines
from processpool.core.exit_reason import ExitReason
from processpool.core.exits import DUMP_GRACE, LADDER, TERM_GRACE, Exits
from processpool.core.fleet import Fleet
from processpool.core.policy import Policy
from processpool.core.states import ExitEvent, ExitStep, WorkerState
from tests.core.scheduling import Bench, words

if TYPE_CHECKING:
    from processpool.core.slot import Slot


class Ladder:
    """One worker, and whatever can happen to it on its way out."""

    def __init__(self, exit_time: float = 5.0) -> None:
        self.fleet = Fleet(Policy(min=1, max=1, spare=1, exit=exit_time))
        self.deadlines = Deadlines(self.fleet.slots)
        self.exits = Exits(self.fleet, self.deadlines)
        self.slot: Slot = self.fleet.add(0.0)

    def tell(self, event: ExitEvent, now: float = 10.0) -> list[str]:
        reason = ExitReason.IDLE
        match event:
            case ExitEvent.ASK:
                return words(self.exits.ask(self.slot, reason, now))
            case ExitEvent.DUMP:
                return words(self.exits.dump(self.slot, reason, now))
            case ExitEvent.OVERDUE:
                return words(self.exits.overdue(self.slot, now))
            case ExitEvent.HURRY:
                return words(self.exits.hurry(self.slot, reason, now))
            case ExitEvent.END:
                return words(self.exits.end(self.slot, reason))
            case ExitEvent.LOST:
                self.exits.lost(self.slot)
                return []


@pytest.mark.parametrize(("step", "event"), list(product(ExitStep, ExitEvent)))
def test_every_event_on_every_step(step: ExitStep, event: ExitEvent) -> None:
    ladder = Ladder()
    ladder.slot.exit_step = step
    leads = LADDER.get((step, event))
    said = ladder.tell(event)
    if leads is None:
        assert said == []
        assert ladder.slot.exit_step is step
        assert ladder.slot.state is WorkerState.STARTING
        return
    verbs = {ExitStep.ASKED: "stop", ExitStep.DUMPING: "dump", ExitStep.TERMINATED: "terminate"}
    verbs[ExitStep.KILLED] = "kill"
    assert ladder.slot.exit_step is leads[0]
    assert said == ([f"{verbs[leads[0]]} 1"] if leads[0] in verbs else [])
    assert ladder.slot.state is WorkerState.STOPPING


def test_nothing_leads_up_or_past_the_end() -> None:
    order = list(ExitStep)
    for (step, _), (follows, _) in LADDER.items():
        assert order.index(follows) > order.index(step) or step is follows is ExitStep.GONE
    ends = {event for step, event in LADDER if step in (ExitStep.KILLED, ExitStep.GONE)}
    assert ends == {ExitEvent.LOST}


@pytest.mark.parametrize("step", [ExitStep.NONE, ExitStep.ASKED, ExitStep.DUMPING])
def test_whoever_is_alive_can_be_ended_at_once(step: ExitStep) -> None:
    assert LADDER[step, ExitEvent.END][0] is ExitStep.KILLED


@pytest.mark.parametrize(
    ("exit_time", "event", "seconds"),
    [
        (5.0, ExitEvent.ASK, 5.0),
        (0.25, ExitEvent.ASK, 0.25),
        (5.0, ExitEvent.DUMP, DUMP_GRACE),
        (5.0, ExitEvent.HURRY, TERM_GRACE),
        (0.25, ExitEvent.HURRY, 0.25),
        (5.0, ExitEvent.END, None),
    ],
)
def test_how_long_a_worker_has(exit_time: float, event: ExitEvent, seconds: float | None) -> None:
    ladder = Ladder(exit_time)
    ladder.deadlines.set(ladder.slot, 500.0)
    ladder.tell(event)
    assert ladder.slot.deadline == (None if seconds is None else 10.0 + seconds)


def test_the_first_reason_counts() -> None:
    ladder = Ladder()
    ladder.exits.ask(ladder.slot, ExitReason.RECYCLED, 0.0)
    ladder.exits.end(ladder.slot, ExitReason.CANCELLED)
    assert ladder.slot.exit_reason is ExitReason.RECYCLED


def test_one_that_ended_by_itself_has_no_reason_and_no_deadline() -> None:
    ladder = Ladder()
    ladder.deadlines.set(ladder.slot, 500.0)
    ladder.tell(ExitEvent.LOST)
    assert (ladder.slot.exit_reason, ladder.slot.deadline) == (None, None)
    assert ladder.slot.state is WorkerState.STOPPING


class TestInAPool:
    def test_a_worker_is_killed_once(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        assert bench.kill(1) == ["kill 1"]
        assert bench.kill(1) == []
        assert bench.close(grace=1) == []
        assert bench.after(1000) == []

    def test_one_that_is_gone_is_not_hurried(self) -> None:
        bench = Bench(min=1, max=1)
        bench.ready_all()
        bench.submit(bench.job())
        assert bench.scheduler.ended(1) == []
        assert bench.close(grace=1) == []
        assert bench.after(1000) == []
        assert bench.kill(1) == []

    def test_one_that_says_where_it_is_has_its_moment_in_a_hurry_too(self) -> None:
        bench = Bench(min=1, max=1, dumps_stacks=True)
        bench.ready_all()
        bench.submit(bench.job(timeout=3.0))
        bench.close(grace=3.05)
        assert bench.after(3.0) == ["dump 1"]
        assert bench.after(0.06) == []
        assert bench.after(0.05) == ["kill 1"]

    def test_one_that_is_leased_or_starting_when_it_ends_stays_that(self) -> None:
        bench = Bench(min=2, max=2)
        bench.start_all()
        bench.ready(1)
        bench.lease()
        bench.scheduler.ended(1)
        bench.scheduler.ended(2)
        assert bench.state(1) is WorkerState.LEASED
        assert bench.state(2) is WorkerState.STARTING
