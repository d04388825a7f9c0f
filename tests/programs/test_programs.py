"""What holds for any program that is declared: the contract, checked on real ones."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from itertools import chain, cycle, islice
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from processpool import AnswerError, Outcome, WorkerDied
from tests.process.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool
    from tests.programs.table import Program

    Make = Callable[..., ProcessPool]

MANY = 200


def fits(answer: Any, expected: Any) -> bool:
    """True if an answer is the one that is wanted."""
    return not answer if expected is None else expected in answer


def test_answers_are_right_and_in_order(program: Program, make: Make) -> None:
    asked = list(islice(cycle(program.asked), MANY))
    with make(2) as pool:
        answers = pool.map([message for message, _ in asked], timeout=30)
    wrong = [
        (message, answer)
        for (message, expected), answer in zip(asked, answers, strict=True)
        if not fits(answer, expected)
    ]
    assert wrong == []


def test_calls_are_answered_by_one_worker(program: Program, make: Make) -> None:
    with make() as pool:
        for message, expected in program.asked * 3:
            assert fits(pool.call(message), expected)
        assert pool.snapshot().workers[0].handled == 3 * len(program.asked)


def test_an_error_costs_its_item_and_spares_the_worker(program: Program, make: Make) -> None:
    if not program.bad:
        pytest.skip("this program has no errors, or cannot tell them")
    good, expected = program.asked[0]
    messages = list(chain.from_iterable((good, bad, good) for bad in program.bad))
    with make() as pool:
        pid = pool.snapshot().workers[0].pid
        outcomes = pool.map(messages, on_error="return", details=True, timeout=30)
        for message in program.bad:
            with pytest.raises(AnswerError) as caught:
                pool.call(message)
            assert isinstance(caught.value.record, Outcome)
            assert isinstance(caught.value.value, type(good))
            assert fits(pool.call(good), expected)
        assert [worker.pid for worker in pool.snapshot().workers] == [pid]
    for message, outcome in zip(messages, outcomes, strict=True):
        if message in program.bad:
            assert type(outcome.error) is AnswerError
        else:
            assert fits(outcome.value, expected)


def test_a_death_costs_one_item(program: Program, make: Make) -> None:
    message, expected = program.asked[0]
    with make() as pool:
        assert fits(pool.call(message), expected)
        pid = pool.snapshot().workers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        future = pool.submit(message)
        eventually(lambda: pool.snapshot().workers[0].item is not None)
        os.kill(pid, signal.SIGKILL)
        # What a stopped program has not read was never begun: then another one has answered it.
        with suppress(WorkerDied):
            assert fits(future.result(30), expected)
        assert fits(pool.submit(message).result(30), expected)


def test_it_ends_within_a_second(program: Program, make: Make) -> None:
    message, expected = program.asked[0]
    pool = make(2)
    pool.wait_ready()
    assert fits(pool.call(message), expected)
    began = monotonic()
    pool.close()
    assert monotonic() - began < 1
