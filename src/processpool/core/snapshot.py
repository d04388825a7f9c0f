"""Snapshots: the state of a pool at one moment, for displays, the command line and monitoring.

Times are in seconds, memory is in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from processpool.core.jobs import Job
    from processpool.core.states import PoolState, WorkerState


class WorkerSnapshot(NamedTuple):
    """The state of a worker at one moment. A tuple, since a snapshot may have hundreds of them."""

    id: int
    pid: int | None
    state: WorkerState
    item: int | None
    """The index of its current item in its map; None if it has none."""
    item_age: float | None
    """Seconds since its current item began, or since a lease did; None if it has neither."""
    pending: int
    """The number of items it has, the current one included."""
    age: float
    """Seconds since its process was started."""
    handled: int
    failed: int
    cpu: float | None
    """CPU time used so far; None if it was not read or cannot be."""
    memory: int | None
    """Resident memory; None if it was not read or cannot be."""
    stderr: str
    """The end of its stderr."""
    stderr_bytes: int = 0
    """The number of bytes that it has written to stderr."""
    progress: tuple[float, float | None, str] | None = None
    """The progress that the item reports: done, total, note."""
    slot: int | None = None
    """Its slot in the pool, from 0; its replacement has the same."""
    node: str = ""
    """The node that it is on; empty on this machine."""
    cancelled: int = 0
    """Items that were cancelled, and that it answered all the same; they are `handled`."""
    work: tuple[Job, Any] | None = None
    """The job of its current item, and the item as it travels."""
    stale: bool = False
    """True if its node was not heard of lately: what is said here may have changed."""

    @property
    def ok(self) -> int:
        """The number of its items that have a value."""
        return self.handled - self.failed - self.cancelled


class WorkerCounts(NamedTuple):
    """The numbers of workers by what they do, at one moment."""

    running: int
    """Workers that have a request or are leased."""
    unassigned: int
    """Workers that wait for a request, or are still starting."""
    starting: int
    """Workers that are not ready yet, or about to be started."""


@dataclass(frozen=True, slots=True)
class MapSnapshot:
    """The progress of a map: now, or when it ended."""

    id: int
    label: str
    done: int
    """The number of answered items, including failed ones."""
    failed: int
    """The number of items that failed."""
    total: int | None
    """The number of all items; None while it is not known."""
    seconds: float
    """How long it has run."""
    cancelled: int = 0
    """The number of items that were cancelled when the map ended; they are not `done`."""

    @property
    def ok(self) -> int:
        """Items that have a value: with `failed` and `cancelled`, all that have ended."""
        return self.done - self.failed

    @property
    def complete(self) -> bool:
        """True if all items have ended; False while their number is not known."""
        return self.total is not None and self.done >= self.total

    @property
    def eta(self) -> float | None:
        """The estimated seconds until its end, at its pace so far; None if not known."""
        if self.total is None or not self.done:
            return None
        return self.seconds / self.done * (self.total - self.done)


@dataclass(frozen=True, slots=True)
class Failure:
    """The last error of a pool."""

    at: float
    """The monotonic time."""
    error: str
    """The error's class and message."""
    worker_id: int | None = None
    """The worker that had the item, or failed to start; None if there was none."""
    pid: int | None = None
    stderr: str = ""
    """The end of this worker's stderr."""
    own_stderr: str | None = None
    """The part that the item, or the start, has written; None if that is all of `stderr`."""


class Loss(NamedTuple):
    """A worker that ended while it had an item."""

    worker_id: int
    how: Literal["failed", "cancelled", "retried"]
    """What became of the item: it was cancelled if nobody wanted it any more."""


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """The state of a pool at one moment."""

    name: str
    state: PoolState
    workers: tuple[WorkerSnapshot, ...]
    queued: int
    """The number of items that wait for a worker."""
    running: int
    """The number of items that workers have."""
    finished: int
    """The number of items that were answered, those that have failed included."""
    failed: int
    """The number of items that have failed."""
    min: int
    max: int
    spare: int
    maps: tuple[MapSnapshot, ...]
    at: float
    """The monotonic time."""
    last_failure: Failure | None = None
    """The last error of an item or of a worker's start; None if there was none."""
    ended_maps: tuple[MapSnapshot, ...] = ()
    """The last few maps that have ended, except very short ones; the newest last."""
    cancelled: int = 0
    """The number of items that never ran, or not to their end, since nobody wanted them any more.
    They are not `finished`."""
    prints: tuple[tuple[int, int, str], ...] = ()
    """What items of functions printed, lately: a running number, the worker, and the text."""
    losses: tuple[Loss, ...] = ()
    """The last workers that ended while they had an item; the newest last."""
    failures: tuple[tuple[str, str, float, int], ...] = ()
    """Errors of items that are alike: key, the last one's text and time, and their number; that of
    the last failure first."""

    @property
    def ok(self) -> int:
        """The number of items that have a value."""
        return self.finished - self.failed

    @property
    def last_error(self) -> str | None:
        """The class and message of the last error."""
        return None if self.last_failure is None else self.last_failure.error

    def count(self, state: WorkerState) -> int:
        """Return the number of workers in this state."""
        return sum(worker.state == state for worker in self.workers)
