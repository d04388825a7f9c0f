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
from processpool.widget.rows import USUAL, Wishes, choose, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from processpool.core.snapshot import Failure, MapSnapshot, PoolSnapshot, WorkerSnapshot
    from processpool.widget.eta import Range

State = dict[str, Any]

LABELLED_LANES = 24
"""The most lanes that have room for labels."""
GROUPED_LANES = 160
"""The most lanes that are grouped by node."""
MAX_ERROR_LINES = 20
"""The most lines of stderr that are shown with an error."""
MAX_ERROR_LENGTH = 2000
"""The most characters of an error that are shown."""
MAX_GROUPS = 12
"""The most kinds of errors that are listed."""
ROWS_PER_LOOK = 20
"""Rows that are made anew at a look; of more, the others are at the next ones."""
STATE, FAILED, LATE = 1, 5, 8
"""Fields of a row of which any change is shown at once."""
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
    etas: Mapping[int, Range] = field(default_factory=dict)
    """The estimated seconds until its end, by running map."""
    rates: Mapping[int, float] = field(default_factory=dict)
    """Finished items per second, by running map."""
    describe: Callable[[WorkerSnapshot], str] = lambda _: ""
    """Returns a short text for a worker's item."""
    wishes: Wishes = USUAL
    """Which rows the user wants to see."""
    lanes: Sequence[int] = ()
    """The worker of each lane of the timeline."""
    advice: Sequence[str] | None = None
    """What there is to say of the pool's maps, and the figures that it rests on."""


def render(
    snapshot: PoolSnapshot, figures: Figures, before: State | None = None, look: int | None = None
) -> State:
    """Return the state that a display shows.

    Args:
        snapshot: the pool.
        figures: figures that are not in the snapshot.
        before: the state that it shows now.
        look: the number of this look: if there are many rows, a part of them is made anew at each.
            None makes all of them anew.
    """
    before = before or {}
    rows = _rows(snapshot, figures, before.get("order", ()))
    states = [worker.state for worker in snapshot.workers]
    return {
        "name": snapshot.name,
        "workers": {word: states.count(state) for word, state in _WORDS.items()},
        "size": [snapshot.min, snapshot.max],
        "queued": snapshot.queued,
        "running": snapshot.running,
        "ok": snapshot.ok,
        "failed": snapshot.failed,
        "cancelled": snapshot.cancelled,
        "gone": _gone(snapshot),
        "rate": round(figures.rate, 1),
        "memory": _memory(figures.memory, len(snapshot.workers)),
        "advice": figures.advice,
        **render_maps(snapshot, figures),
        "order": [row.id for row in rows],
        "rows": _cells(rows, figures, snapshot.at, before.get("rows", {}), look),
        "hidden": len(snapshot.workers) - len(rows),
        "lanes": list(figures.lanes) if len(figures.lanes) <= LABELLED_LANES else [],
        "nodes": _nodes(snapshot, figures.lanes),
        "error": None if snapshot.last_failure is None else _error(snapshot.last_failure),
        "failures": [_group(*group) for group in snapshot.failures[:MAX_GROUPS]],
    }


def _rows(snapshot: PoolSnapshot, figures: Figures, shown: Collection[int]) -> list[WorkerSnapshot]:
    """Return the workers that have a row: those that somebody wants to see, or the notable ones."""
    if not figures.wishes:
        return choose(snapshot.workers, figures.late, shown, figures.long)
    amounts: dict[str, Mapping[int, float]] = {"memory": figures.memory, "CPU": figures.cpu}
    return chosen(snapshot.workers, figures.late, figures.wishes, figures.describe, amounts)


def render_maps(snapshot: PoolSnapshot, figures: Figures) -> State:
    """Return the part of the state that tells of maps."""
    return {
        "state": str(snapshot.state),
        "maps": [_map(run, snapshot.at, figures) for run in snapshot.maps],
        "ended": [_ended(run) for run in snapshot.ended_maps],
    }


def _cells(
    rows: Sequence[WorkerSnapshot], figures: Figures, now: float, known: State, look: int | None
) -> State:
    """Return the rows by number, as of now; of many, some of those in which nothing is special."""
    turns = -(-len(rows) // ROWS_PER_LOOK)
    if turns < 2 or look is None:
        return {str(worker.id): _row(worker, figures, now) for worker in rows}
    late, out = figures.late, {}
    for worker in rows:
        number = worker.id
        key = str(number)
        row = known.get(key)
        if (
            row is None
            or (number + look) % turns == 0
            or row[STATE] != worker.state
            or row[FAILED] != worker.failed
            or row[LATE] != (number in late)
        ):
            row = _row(worker, figures, now)
        out[key] = row
    return out


def _row(worker: WorkerSnapshot, figures: Figures, now: float) -> list[Any]:
    """Return a row; the names of its fields are in `front/store.js`."""
    age, number, progress = worker.item_age, worker.id, worker.progress
    cpu = figures.cpu.get(number)
    return [
        worker.pid,
        worker.state._value_,  # the property `value` takes ten times as long
        worker.item,
        None if age is None else int(10 * (now - age) + 0.5) / 10,  # as `round` does, but sooner
        worker.ok,
        worker.failed,
        None if cpu is None else round(cpu),
        figures.memory.get(number),
        number in figures.late,
        None if progress is None or worker.item is None else _progress(progress),
        worker.slot,
        figures.describe(worker),
    ]


def _nodes(snapshot: PoolSnapshot, lanes: Sequence[int]) -> list[list[Any]]:
    """Return the nodes of the workers: label, if it is stale, its lanes; none on one machine."""
    away = [worker for worker in snapshot.workers if worker.node]
    if not away or len(lanes) > GROUPED_LANES:
        return []
    found: dict[str, list[Any]] = {}
    places = {number: lane for lane, number in enumerate(lanes)}
    for worker in away:
        if worker.id in places:
            node = found.setdefault(worker.node, [_label(worker.node), worker.stale, []])
            node[2].append(places[worker.id])
    return [[label, stale, sorted(lanes)] for label, stale, lanes in found.values()]


def _gone(snapshot: PoolSnapshot) -> list[int]:
    """Return how many items were ok, and have failed, with workers that are not there any more."""
    failed = sum([worker.failed for worker in snapshot.workers])
    done = sum([worker.handled - worker.cancelled for worker in snapshot.workers])
    return [max(snapshot.ok - (done - failed), 0), max(snapshot.failed - failed, 0)]


def _memory(known: Mapping[int, int], workers: int) -> list[int]:
    """Return the memory of all workers, and of how many it is known; the others count alike.

    It is rounded to three digits: exact bytes would be news all the time.
    """
    if not known:
        return [0, 0]
    total = sum(known.values()) * max(workers, len(known)) / len(known)
    return [int(float(f"{total:.3g}")), len(known)]


def _progress(progress: tuple[float, float | None, str]) -> list[Any]:
    done, total, note = progress
    return [done, total, escape_control(note)[:80]]


def _map(run: MapSnapshot, now: float, figures: Figures) -> list[Any]:
    """Return a running map: number, label, ok, failed, cancelled, total, since, remaining, rate.

    What remains are the least and the most seconds; None if that is not known.
    """
    eta = figures.etas.get(run.id)
    since = round(now - run.seconds, _TENTHS)
    return [
        run.id,
        _label(run.label),
        run.ok,
        run.failed,
        run.cancelled,
        run.total,
        since,
        None if eta is None else [round(eta.low, 1), round(eta.high, 1)],
        float(f"{figures.rates.get(run.id, 0.0):.3g}"),
    ]


def _ended(run: MapSnapshot) -> list[Any]:
    """Return an ended map: number, label, ok, failed, cancelled, total, seconds, if complete."""
    label, seconds = _label(run.label), round(run.seconds, _TENTHS)
    counts = run.ok, run.failed, run.cancelled
    return [run.id, label, *counts, run.total, seconds, run.complete]


def _label(text: str) -> str:
    return escape_control(text)[:80]


@lru_cache(maxsize=64)
def _group(key: str, text: str, at: float, count: int) -> list[Any]:
    """Return errors that are alike: key, text of the last one, its time, how many."""
    return [key, escape_control(text)[:MAX_ERROR_LENGTH], round(at, _TENTHS), count]


@lru_cache(maxsize=4)
def _error(failure: Failure) -> State:
    text = escape_control(failure.error)[:MAX_ERROR_LENGTH]
    own = failure.stderr if failure.own_stderr is None else failure.own_stderr
    log = lines_of(own, last=MAX_ERROR_LINES)
    if all(line in text for line in log):  # the error of a worker that died quotes its stderr
        log = []
    return {"at": round(failure.at, _TENTHS), "text": text, "worker": failure.worker_id, "log": log}
