"""Promises that cross several rooms: exits in a pipeline, callbacks that wait, checked numbers."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EXITS = """
import sys
from processpool import serve

def handle(message):
    if message == "exit":
        print("bye", end="")
        sys.exit()
    return message

serve(handle)
"""


@pytest.fixture
def open_pool(tmp_path: Path) -> Iterator[Callable[..., ProcessPool]]:
    pools: list[ProcessPool] = []
    (tmp_path / "exits.py").write_text(EXITS)

    def opened(pipeline: int = 1, most: int = 1) -> ProcessPool:
        pool = ProcessPool.from_dict(
            {
                "worker": {
                    "kind": "command",
                    "command": ["python", str(tmp_path / "exits.py")],
                    "protocol": {"kind": "framed", "pipeline": pipeline},
                },
                "size": {"min": 1, "max": most},
            }
        )
        pools.append(pool.open())
        return pool

    yield opened
    for pool in pools:
        pool.close(0)


def test_an_exit_costs_nothing_that_was_sent_behind_it(
    open_pool: Callable[..., ProcessPool],
) -> None:
    messages = ["exit" if number % 97 == 5 else str(number) for number in range(1000)]
    answers = open_pool(pipeline=64, most=2).map(messages)
    assert answers == ["bye" if message == "exit" else message for message in messages]


def test_a_lease_is_not_handed_a_worker_that_leaves(open_pool: Callable[..., ProcessPool]) -> None:
    pool = open_pool()
    for _ in range(10):
        assert pool.call("exit") == "bye"
        with pool.lease() as lease:
            lease.send("x")
            assert lease.read_stdout() == "x"


WAITING: dict[str, Callable[[ProcessPool], Any]] = {
    "map": lambda pool: pool.map(["a"]),
    "imap": lambda pool: list(pool.imap(["a"])),
    "call": lambda pool: pool.call("a"),
    "result": lambda pool: pool.submit("a").result(),
    "lease": lambda pool: pool.lease().release(),
    "drain": lambda pool: pool.drain(),
    "wait_ready": lambda pool: pool.wait_ready(),
}


@pytest.mark.parametrize("method", WAITING)
def test_a_callback_may_wait_for_the_pool(
    open_pool: Callable[..., ProcessPool], method: str
) -> None:
    pool = open_pool()
    came_back = Event()

    def wait(_: object) -> None:
        WAITING[method](pool)
        came_back.set()

    pool.submit("first").add_done_callback(wait)
    assert came_back.wait(30)


def test_a_callback_that_never_returns_stops_nobody(open_pool: Callable[..., ProcessPool]) -> None:
    pool = open_pool()
    gate = Event()
    pool.submit("first").add_done_callback(lambda _: gate.wait())
    assert pool.map(["a", "b"]) == ["a", "b"]
    gate.set()


def test_what_an_input_gave_before_it_raised_is_answered(
    open_pool: Callable[..., ProcessPool],
) -> None:
    def messages() -> Iterator[str]:
        yield from "abc"
        raise LookupError

    answers = open_pool().imap(messages())
    assert [next(answers) for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(LookupError):
        next(answers)


@pytest.mark.parametrize("timeout", ["3", -1, float("nan"), True])
def test_a_timeout_is_a_number_of_seconds(
    open_pool: Callable[..., ProcessPool], timeout: Any
) -> None:
    pool = open_pool()
    with pytest.raises(ValueError, match=r"timeout must be a (duration|number of seconds)"):
        pool.map(["a"], timeout=timeout)
    assert pool.map(["a"]) == ["a"]


@pytest.mark.parametrize("size", [2.5, True, "4", -1])
def test_a_size_is_a_whole_number(open_pool: Callable[..., ProcessPool], size: Any) -> None:
    with pytest.raises(ValueError, match=r"size.max must be a whole number of workers"):
        open_pool().resize(max=size)
