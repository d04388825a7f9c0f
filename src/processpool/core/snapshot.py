"""A pool at one moment, frozen: what the displays, the command line and a monitor read.

None of them reads anything else of a pool. Times are seconds, memory is bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from processpool.core.states import PoolState, WorkerState


class WorkerSnapshot(NamedTuple):
    """One worker at that moment. A tuple, because there may be hundreds of them."""

    id: int
    pid: int | None
    state: WorkerState
    item: int | None
    """Index of its current item in its map; None while it has none."""
    item_age: float | None
    """Seconds since the current item was handed over."""
    pending: int
    """Items that the worker has, the current one included."""
    age: float
    """Seconds since its process was started."""
    handled: int
    failed: int
    cpu: float | None
    """CPU seconds used so far; None where it cannot be read."""
    memory: int | None
    """Resident memory; None where it cannot be read."""
    stderr: str
    """The end of what it wrote to its stderr."""
    stderr_bytes: int = 0
    """Bytes that it has written there in all."""
    progress: tuple[float, float | None, str] | None = None
    """What the item reports of its progress: done, total, note."""
    slot: int | None = None
    """Which of the pool's slots it has, from 0; its successor has the same."""


class WorkerCounts(NamedTuple):
    """How many workers do what at one moment."""

    running: int
    """Those that have a request, or are leased."""
    unassigned: int
    """Those that wait for a request, or are still starting."""
    starting: int
    """Those that are not ready yet, those included that are about to be started."""


@dataclass(frozen=True, slots=True)
class MapSnapshot:
    """A map in progress, or as it was when it ended."""

    id: int
    label: str
    done: int
    """Items that were answered, those that have failed included."""
    failed: int
    """Items that were answered with an error."""
    total: int | None
    """Items in all; None while that is not known."""
    seconds: float
    """How long it has run."""
    cancelled: int = 0
    """Items that will never be answered, since the map has ended before; they are not `done`."""

    @property
    def complete(self) -> bool:
        """True if all of its items have ended; not while their number is not known."""
        return self.total is not None and self.done >= self.total

    @property
    def eta(self) -> float | None:
        """Seconds that it will still take at its pace so far; None while that is unknown."""
        if self.total is None or not self.done:
            return None
        return self.seconds / self.done * (self.total - self.done)


@dataclass(frozen=True, slots=True)
class Failure:
    """The last thing that went wrong."""

    at: float
    """The monotonic time."""
    error: str
    """The error: its class and its message."""
    worker_id: int | None = None
    """The worker that had the item, or did not start; None if there was none."""
    pid: int | None = None
    stderr: str = ""
    """The end of what this worker had written to its stderr."""
    own_stderr: str | None = None
    """What the item itself, or the start, wrote there; None if that is all of `stderr`."""


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """A pool at one moment."""

    name: str
    state: PoolState
    workers: tuple[WorkerSnapshot, ...]
    queued: int
    """Items that wait for a worker."""
    running: int
    """Items that workers have."""
    finished: int
    """Items that were answered."""
    failed: int
    """Items that ended with an error."""
    min: int
    max: int
    spare: int
    maps: tuple[MapSnapshot, ...]
    at: float
    """The monotonic time."""
    last_failure: Failure | None = None
    """The last error of an item or of a worker's start; None as long as there was none."""
    ended_maps: tuple[MapSnapshot, ...] = ()
    """The last few maps that have ended, except short ones; the newest last."""

    @property
    def last_error(self) -> str | None:
        """The last error: its class and its message."""
        return None if self.last_failure is None else self.last_failure.error

    def count(self, state: WorkerState) -> int:
        """How many workers are in this state."""
        return sum(worker.state == state for worker in self.workers)
