"""Taking snapshots of an engine.

The lock is held only to copy the engine's state; /proc is read without it.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core.snapshot import PoolSnapshot, WorkerSnapshot
from processpool.core.states import WorkerState
from processpool.system.interrupts import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Collection

    from processpool.core.slot import Slot
    from processpool.engine.core import Core
    from processpool.engine.event_hub import EventHub
    from processpool.engine.map_registry import Maps
    from processpool.engine.workers.worker import Worker

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BUSY, _LEASED = WorkerState.BUSY, WorkerState.LEASED
_NOTHING = 0, ""
_TICK = os.sysconf("SC_CLK_TCK")


def take_snapshot(
    core: Core, hub: EventHub, maps: Maps, name: str, *, resources: bool | Collection[int]
) -> PoolSnapshot:
    """Return a snapshot of an engine.

    Args:
        core: the engine's core.
        hub: its event hub, for the last failure.
        maps: its maps.
        name: the pool's name.
        resources: whether to read the CPU time and memory of all workers, of none, or of those
            with the given numbers; each takes about 10 µs.
    """
    now = monotonic()
    scheduler = core.scheduler
    with core.lock:
        rows = [_freeze(slot, core.workers.get(slot.id), now) for slot in scheduler.slots.values()]
        policy = scheduler.policy
        queued, running = scheduler.queued, scheduler.running
        singles, state = scheduler.singles, scheduler.state
    running_maps = [run.snapshot() for run in list(maps.running.values())]
    totals = maps.totals(running_maps, singles)
    if resources:
        rows = _add_resources(rows, None if resources is True else resources)
    return PoolSnapshot(
        name=name,
        state=state,
        workers=tuple(rows),
        queued=queued,
        running=running,
        finished=totals.ok + totals.failed,
        failed=totals.failed,
        min=policy.min,
        max=policy.max,
        spare=policy.spare,
        maps=tuple(running_maps),
        ended_maps=tuple(maps.ended),
        at=now,
        last_failure=hub.last_failure,
        cancelled=totals.cancelled,
        prints=tuple(hub.prints),
        losses=tuple(hub.losses),
        failures=tuple(maps.failures.groups()),
    )


def _freeze(slot: Slot, worker: Worker | None, now: float) -> WorkerSnapshot:
    state, inflight = slot.state, slot.inflight
    first = inflight[0] if inflight and state is _BUSY else None
    pid, progress, (written, log) = None, None, _NOTHING
    if worker is not None:
        pid, progress, (written, log) = worker.pid, worker.protocol.progress, worker.written
    working = first is not None or state is _LEASED
    return WorkerSnapshot(
        slot.id,
        pid,
        state,
        None if first is None else first.base + first.lo,
        now - slot.since if working else None,
        slot.load,
        now - slot.started_at,
        slot.handled,
        slot.failed,
        None,
        None,
        log,
        written,
        progress,
        slot.place,
        "",
        slot.cancelled,
        None if first is None else (first.job, first.items[first.lo]),
    )


@uninterrupted
def _add_resources(
    rows: list[WorkerSnapshot], wanted: Collection[int] | None
) -> list[WorkerSnapshot]:
    return [_with_resources(row) if wanted is None or row.id in wanted else row for row in rows]


def _with_resources(row: WorkerSnapshot) -> WorkerSnapshot:
    """Return a worker's snapshot with CPU time and memory; unchanged if /proc cannot be read."""
    try:
        fields = _read(f"/proc/{row.pid}/stat").rpartition(b") ")[2].split()
    except OSError:
        return row
    cpu = (int(fields[11]) + int(fields[12])) / _TICK
    return row._replace(cpu=cpu, memory=int(fields[21]) * _PAGE)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)
