"""Events of a pool: frozen objects, named in the past tense, that `pool.events` subscribes to.

An event never contains a message, an answer or the value of an environment variable. `at` is its
monotonic time in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processpool.core.jobs import Batch, Origin


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    at: float


class PoolOpened(Event):
    """The pool was opened."""

    __slots__ = ()


class PoolPaused(Event):
    """The pool was paused: it assigns no work until it is resumed."""

    __slots__ = ()


class PoolResumed(Event):
    """The pool was resumed: it assigns work again."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PoolResized(Event):
    """The sizes of the pool were changed."""

    min: int
    max: int
    spare: int


@dataclass(frozen=True, slots=True)
class PoolBroke(Event):
    """Workers failed to start too often, so the pool is broken."""

    reason: str


class PoolClosedDown(Event):
    """The last worker has ended, and the pool is closed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class WorkerEvent(Event):
    """Base of the events that concern a worker."""

    worker_id: int
    pid: int


class WorkerStarted(WorkerEvent):
    """A worker's process was started."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class WorkerBecameReady(WorkerEvent):
    """A worker is ready for its first request, `seconds` after its process was started."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerExited(WorkerEvent):
    """A worker's process has ended.

    `exitcode` is its exit status, or minus the number of the signal that ended it; `reason` is why
    the pool ended it, or None if it ended by itself; `stderr` is the end of its stderr.
    """

    exitcode: int
    reason: str | None
    stderr: str
    stderr_bytes: int = 0
    """The number of bytes that it has written to stderr in all."""


@dataclass(frozen=True, slots=True)
class WorkerFailedToStart(Event):
    """A worker could not be started, or ended before it was ready."""

    worker_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerWroteUnasked(WorkerEvent):
    """A worker wrote to its stdout although it had no request, so it is replaced."""

    output: bytes


@dataclass(frozen=True, slots=True)
class ItemFailed(WorkerEvent):
    """An item failed; `error` is the error's class and message."""

    index: int
    error: str


@dataclass(frozen=True, slots=True)
class ItemsFinished(WorkerEvent):
    """A worker has answered `count` consecutive items, beginning with `index`.

    It had them from `since` to `at`. `job` is the number of their map, or 0 for single requests.
    """

    index: int
    count: int
    since: float
    job: int
    failed: int = 0
    """How many of the answers are errors; those of workers that died are `ItemFailed`."""

    @classmethod
    def of(cls, batch: Batch, origin: Origin, failed: int = 0) -> ItemsFinished:
        """Return the event of a batch that the worker of `origin` has answered."""
        worker = origin.until, origin.worker_id, origin.pid
        return cls(*worker, batch.start, len(batch), origin.since, batch.job.number, failed)
