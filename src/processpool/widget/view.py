"""The display state of a pool: `render` is a pure function from a snapshot to plain data.

The state can be written as JSON; `front/store.js` reads it. Times are seconds on the pool's clock,
so the front end can show growing ages without being sent anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from processpool.core.states import WorkerState
from processpool.system.text import escape_control
from processpool.widget.log import lines_of
from processpool.widget.rows import choose

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from processpool.core.snapshot import Failure, MapSnapshot, PoolSnapshot, WorkerSnapshot

State = dict[str, Any]

LABELLED_LANES = 24
"""The most lanes that have room for labels."""
MAX_ERROR_LINES = 20
"""The most lines of stderr that are shown with an error."""
MAX_ERROR_LENGTH = 2000
"""The most characters of an error that are shown."""
_TENTHS = 1
_WORDS = {str(state): state for state in WorkerState}


@dataclass(frozen=True, slots=True)
class Figures:
    """What a display shows that is not in a snapshot."""

    rate: float = 0.0
    """Finished items per second."""
    cpu: Mapping[int, float] = field(default_factory=dict)
    """CPU use in percent of one CPU, by worker."""
    memory: Mapping[int, int] = field(default_factory=dict)
    """Resident memory in bytes, by worker."""
    late: Collection[int] = ()
    """The numbers of workers whose item takes unusually long."""
    long: float = 1.0
    """The age in seconds from which an item counts as running long."""
    lanes: Sequence[int] = ()
    """The worker of each lane of the timeline."""


def render(snapshot: PoolSnapshot, figures: Figures, shown: Collection[int] = ()) -> State:
    """Return the state that a display shows.

    Args:
        snapshot: the pool.
        figures: figures that are not in the snapshot.
        shown: the numbers of the workers that have a row now.
    """
    rows = choose(snapshot.workers, figures.late, shown, figures.long)
    states = [worker.state for worker in snapshot.workers]
    return {
        "name": snapshot.name,
        "state": str(snapshot.state),
        "workers": {word: states.count(state) for word, state in _WORDS.items()},
        "size": [snapshot.min, snapshot.max],
        "queued": snapshot.queued,
        "running": snapshot.running,
        "ok": snapshot.ok,
        "failed": snapshot.failed,
        "cancelled": snapshot.cancelled,
        "gone": _gone(snapshot),
        "rate": round(figures.rate, 1),
        "maps": [_map(run, snapshot.at) for run in snapshot.maps],
        "ended": [_ended(run) for run in snapshot.ended_maps],
        "order": [row.id for row in rows],
        "rows": {str(row.id): _row(row, figures, snapshot.at) for row in rows},
        "hidden": len(snapshot.workers) - len(rows),
        "lanes": list(figures.lanes) if len(figures.lanes) <= LABELLED_LANES else [],
        "error": None if snapshot.last_failure is None else _error(snapshot.last_failure),
    }


def _row(worker: WorkerSnapshot, figures: Figures, now: float) -> list[Any]:
    """Return a row: pid, state, item, since, ok, failed, CPU, memory, late, progress, slot."""
    since = None if worker.item_age is None else round(now - worker.item_age, _TENTHS)
    progress = worker.progress
    cpu = figures.cpu.get(worker.id)
    return [
        worker.pid,
        worker.state._value_,  # the property `value` takes ten times as long
        worker.item,
        since,
        worker.ok,
        worker.failed,
        None if cpu is None else round(cpu),
        figures.memory.get(worker.id),
        worker.id in figures.late,
        None if progress is None or worker.item is None else _progress(progress),
        worker.slot,
    ]


def _gone(snapshot: PoolSnapshot) -> list[int]:
    """Return how many items were ok, and have failed, with workers that are not there any more."""
    failed = sum(worker.failed for worker in snapshot.workers)
    ok = sum(worker.ok for worker in snapshot.workers)
    return [max(snapshot.ok - ok, 0), max(snapshot.failed - failed, 0)]


def _progress(progress: tuple[float, float | None, str]) -> list[Any]:
    done, total, note = progress
    return [done, total, escape_control(note)[:80]]


def _map(run: MapSnapshot, now: float) -> list[Any]:
    """Return a running map: number, label, ok, failed, cancelled, total, since, remaining."""
    eta = run.eta
    since = round(now - run.seconds, _TENTHS)
    return [
        run.id,
        _label(run.label),
        run.ok,
        run.failed,
        run.cancelled,
        run.total,
        since,
        None if eta is None else round(eta),
    ]


def _ended(run: MapSnapshot) -> list[Any]:
    """Return an ended map: number, label, ok, failed, cancelled, total, seconds, if complete."""
    label, seconds = _label(run.label), round(run.seconds, _TENTHS)
    counts = run.ok, run.failed, run.cancelled
    return [run.id, label, *counts, run.total, seconds, run.complete]


def _label(text: str) -> str:
    return escape_control(text)[:80]


@lru_cache(maxsize=4)
def _error(failure: Failure) -> State:
    text = escape_control(failure.error)[:MAX_ERROR_LENGTH]
    own = failure.stderr if failure.own_stderr is None else failure.own_stderr
    log = lines_of(own, last=MAX_ERROR_LINES)
    if all(line in text for line in log):  # the error of a worker that died quotes its stderr
        log = []
    return {"at": round(failure.at, _TENTHS), "text": text, "worker": failure.worker_id, "log": log}
