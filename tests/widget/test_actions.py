from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from processpool.widget.actions import perform
from tests.process.support import eventually

if TYPE_CHECKING:
    from processpool import ProcessPool


def test_pausing_and_going_on(pool: ProcessPool) -> None:
    assert perform(pool, {"action": "pause"})["error"] == ""
    assert str(pool.state) == "paused"
    assert perform(pool, {"action": "resume"})["error"] == ""
    assert str(pool.state) == "open"


def test_a_smaller_size_takes_the_least_along(pool: ProcessPool) -> None:
    assert perform(pool, {"action": "resize", "max": 1})["error"] == ""
    now = pool.snapshot(resources=False)
    assert (now.min, now.max) == (1, 1)


def test_replacing_a_worker(pool: ProcessPool) -> None:
    before = pool.snapshot(resources=False).workers[0].id
    assert perform(pool, {"action": "restart", "worker": before, "wait": True})["error"] == ""
    assert pool.map(["a", "b"]) == ["a", "b"]
    eventually(lambda: before not in [worker.id for worker in pool.snapshot().workers])


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"action": "explode"}, "there is no action 'explode'"),
        ({}, "there is no action None"),
        ({"action": "resize"}, "max must be a whole number, got None"),
        ({"action": "resize", "max": True}, "max must be a whole number, got True"),
        ({"action": "resize", "max": 0}, "a pool has at least one worker"),
        ({"action": "restart", "worker": 999}, "there is no worker 999"),
        ({"action": "stop_map", "map": 999}, "there is no map 999"),
    ],
)
def test_what_cannot_be_done_is_said(
    pool: ProcessPool, message: dict[str, Any], error: str
) -> None:
    assert perform(pool, message)["error"].startswith(error)
