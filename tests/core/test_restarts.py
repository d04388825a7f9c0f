"""How failed starts are counted: which break the pool, and how late they make the next."""

from __future__ import annotations

from processpool.core.restarts import Restarts
from tests.core.scheduling import policy


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
