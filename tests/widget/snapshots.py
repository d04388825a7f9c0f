"""Snapshots made up for the tests of displays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from processpool.core.snapshot import MapSnapshot, PoolSnapshot, WorkerSnapshot
from processpool.core.states import PoolState, WorkerState

WORKER = WorkerSnapshot(
    id=1,
    pid=101,
    state=WorkerState.IDLE,
    item=None,
    item_age=None,
    pending=0,
    age=5.0,
    handled=0,
    failed=0,
    cpu=None,
    memory=None,
    stderr="",
)
POOL = PoolSnapshot(
    name="demo",
    state=PoolState.OPEN,
    workers=(),
    queued=0,
    running=0,
    finished=0,
    failed=0,
    min=1,
    max=4,
    spare=4,
    maps=(),
    at=100.0,
)


def worker(number: int, **changes: Any) -> WorkerSnapshot:
    """An idle worker."""
    return WORKER._replace(id=number, pid=100 + number, **changes)


def busy(number: int, item: int, age: float = 0.1, **changes: Any) -> WorkerSnapshot:
    """A worker that has an item."""
    state = WorkerState.BUSY
    return worker(number, state=state, item=item, item_age=age, pending=1, **changes)


def pool(*workers: WorkerSnapshot, at: float = 100.0, **changes: Any) -> PoolSnapshot:
    """An open pool with these workers."""
    running = sum(worker.pending for worker in workers)
    return replace(POOL, workers=workers, at=at, running=running, **changes)


def run(number: int = 1, done: int = 3, total: int | None = 10, **changes: Any) -> MapSnapshot:
    """A map in progress."""
    return replace(MapSnapshot(number, f"map {number}", done, 0, total, 6.0), **changes)
