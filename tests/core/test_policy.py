"""Sizes that can be, and when something is tried again."""

from __future__ import annotations

from typing import Any

import pytest

from processpool.core.policy import MAX_DOUBLINGS, Policy, resized
from tests.core.scheduling import policy


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
        assert thrice.retries.allow("crash", attempts) is again
        assert not thrice.retries.allow("error", attempts)

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
