"""The memory that a worker had at most while it had an item."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from processpool import WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool import ProcessPool

MIB = 1 << 20


def fill(mebibytes: int) -> int:
    """Use so much memory for a moment."""
    filled = b"x" * (mebibytes * MIB)
    time.sleep(0.02)
    return len(filled)


def end(_: object) -> None:
    os._exit(3)


def test_each_item_has_its_own(python_pool: Callable[..., ProcessPool]) -> None:
    outcomes = python_pool(1).map(fill, [1, 200, 1, 1, 100, 1], details=True)
    small, large, after, _, middle, last = (record.peak_memory or 0 for record in outcomes)
    assert large > 200 * MIB
    assert 100 * MIB < middle < large
    assert max(small, after, last) < 100 * MIB


def test_it_is_always_known(
    python_pool: Callable[..., ProcessPool], make_pool: Callable[..., ProcessPool]
) -> None:
    pool = python_pool(2)
    assert all(record.peak_memory for record in pool.map(abs, range(1000), details=True))
    future = pool.submit(abs, 1)
    future.result()
    assert future.record is not None
    assert future.record.peak_memory
    with pytest.raises(WorkerDied) as caught:
        pool.map(end, [1])
    assert caught.value.record is not None
    assert caught.value.record.peak_memory
    with pytest.raises(WorkerDied) as caught:
        pool.call(end, 1)
    assert caught.value.record is not None
    assert caught.value.record.peak_memory
    lines = make_pool("cat", worker={"protocol": "lines"}, size=2)
    assert all(record.peak_memory for record in lines.map(["x"] * 100, details=True))
    failed = pool.map(int, ["x"], details=True, on_error="return")
    assert failed[0].peak_memory


def test_it_is_recorded_over_time(python_pool: Callable[..., ProcessPool]) -> None:
    pool = python_pool(1)
    pool.map(fill, [1, 200, 1])
    memory = pool.records()[-1].memory
    assert memory is not None
    found = [amount for amount in memory.rows[0] if amount]
    assert max(found) > 200 * MIB
    assert min(found) < 100 * MIB
