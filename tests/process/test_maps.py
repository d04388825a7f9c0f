"""Maps in progress, of every kind, and those that have ended: seen in a snapshot, and stopped."""

from __future__ import annotations

import asyncio
import operator
import threading
import time
import weakref
from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tqdm import tqdm

from tests.process.support import eventually
from tests.process.workers import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool import ProcessPool
    from processpool.core.snapshot import MapSnapshot
    from tests.process.support import Gate


@pytest.fixture
def pool(python_pool: Callable[..., ProcessPool]) -> ProcessPool:
    """A pool of two workers."""
    return python_pool(2)


async def collect(pool: ProcessPool, function: Callable[..., Any], items: Any) -> list[Any]:
    return [answer async for answer in pool.aimap(function, items)]


WAYS: dict[str, Callable[[ProcessPool, Callable[..., Any], Any], list[Any]]] = {
    "map": lambda pool, function, items: pool.map(function, items),
    "imap": lambda pool, function, items: list(pool.imap(function, items)),
    "imap_unordered": lambda pool, function, items: list(pool.imap_unordered(function, items)),
    "aimap": lambda pool, function, items: asyncio.run(collect(pool, function, items)),
    "executor": lambda pool, function, items: list(pool.executor().map(function, items)),
}


def last(pool: ProcessPool) -> MapSnapshot:
    """The map that has ended last."""
    return pool.snapshot().ended_maps[-1]


@pytest.mark.parametrize("way", WAYS)
def test_one_that_ends_has_done_all_of_its_items(pool: ProcessPool, way: str) -> None:
    assert WAYS[way](pool, time.sleep, [0.1] * 8) == [None] * 8
    assert not pool.snapshot().maps
    assert (last(pool).done, last(pool).total, last(pool).failed) == (8, 8, 0)
    assert last(pool).complete


@pytest.mark.parametrize("way", WAYS)
def test_one_that_is_stopped_has_not(pool: ProcessPool, way: str) -> None:
    def stop() -> None:
        eventually(lambda: pool.snapshot().maps and pool.snapshot().maps[0].done == 2)
        (run,) = pool.snapshot().maps
        assert (run.failed, run.label) == (0, "sleep")
        pool.stop_map(run.id)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(CancelledError):
        WAYS[way](pool, time.sleep, [0, 0, 60, 60, 60, 60])
    thread.join()
    eventually(lambda: not pool.snapshot().maps)
    assert (last(pool).done, last(pool).failed, last(pool).complete) == (2, 0, False)
    assert pool.call(functions.inc, 1) == 2


@pytest.fixture
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress bars have no thread of their own."""
    monkeypatch.setattr(tqdm, "monitor_interval", 0)


@pytest.mark.usefixtures("_quiet")
def test_short_ones_are_remembered_if_their_progress_was_asked_for(pool: ProcessPool) -> None:
    pool.map(functions.inc, range(3))
    assert pool.snapshot().ended_maps == ()
    pool.map(functions.inc, range(3), progress="mine")
    assert (last(pool).label, last(pool).done) == ("mine", 3)


@pytest.mark.usefixtures("_quiet")
def test_an_error_that_ends_one_counts_once(pool: ProcessPool) -> None:
    with pytest.raises(ZeroDivisionError):
        pool.map(divmod, range(50), [*[1] * 20, 0, *[1] * 29], progress="mine")
    assert last(pool).failed == 1


def test_what_was_asked_is_let_go_of_with_its_answer(pool: ProcessPool, gate: Gate) -> None:
    asked: list[weakref.ref[Any]] = []

    def items() -> Iterator[Callable[[], Any]]:
        for n in range(6):
            item = partial(functions.inc, n)
            asked.append(weakref.ref(item))
            yield item
            del item
        yield partial(functions.wait_at, str(gate.path))

    running = pool.imap(operator.call, items())
    assert [next(running) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    gate.await_arrival()
    eventually(lambda: all(item() is None for item in asked))
    gate.open()
    assert list(running) == ["passed"]


def fails_out_of_order(number: int, gate: str) -> int:
    if number == 1:
        with open(gate) as waiting:
            waiting.read()
        raise ValueError("the first in order")
    if number == 2:
        raise ValueError("the first that is seen")
    return number


@pytest.mark.parametrize("way", ["imap", "aimap"])
def test_in_order_the_first_error_is_the_first_in_order(
    pool: ProcessPool, gate: Gate, way: str
) -> None:
    def open_when_one_has_failed() -> None:
        eventually(lambda: any(running.failed for running in pool.snapshot().maps))
        gate.open()

    opening = threading.Thread(target=open_when_one_has_failed)
    opening.start()
    function = partial(fails_out_of_order, gate=str(gate.path))
    with pytest.raises(ValueError, match="the first in order"):
        WAYS[way](pool, function, [0, 1, 2])
    opening.join()
