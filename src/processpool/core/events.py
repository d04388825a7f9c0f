"""What happens in a pool, as frozen facts in the past tense.

`pool.events(callback)` subscribes to them. A fact never holds a message, an answer or the value of
an environment variable. `at` is the monotonic time in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened in the pool."""

    at: float


@dataclass(frozen=True, slots=True)
class PoolOpened(Event):
    """The pool was opened."""


@dataclass(frozen=True, slots=True)
class PoolPaused(Event):
    """The pool hands out no work until it is resumed."""


@dataclass(frozen=True, slots=True)
class PoolResumed(Event):
    """The pool hands out work again."""


@dataclass(frozen=True, slots=True)
class PoolResized(Event):
    """The sizes of the pool were changed."""

    min: int
    max: int
    spare: int


@dataclass(frozen=True, slots=True)
class PoolBroke(Event):
    """Workers failed to start too often, and the pool is broken."""

    reason: str


@dataclass(frozen=True, slots=True)
class PoolClosedDown(Event):
    """The last worker is gone, and the pool is closed."""


@dataclass(frozen=True, slots=True)
class WorkerEvent(Event):
    """Something happened to a worker."""

    worker_id: int
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerStarted(WorkerEvent):
    """A worker's process was started."""


@dataclass(frozen=True, slots=True)
class WorkerBecameReady(WorkerEvent):
    """A worker awaits its first request; `seconds` since its process was started."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerExited(WorkerEvent):
    """A worker is gone.

    `exitcode` is its status, or minus the signal; `reason` says why the pool ended it, and is None
    if it ended by itself; `stderr` is the end of what it wrote.
    """

    exitcode: int
    reason: str | None
    stderr: str


@dataclass(frozen=True, slots=True)
class WorkerFailedToStart(Event):
    """A worker could not be started, or ended before it was ready."""

    worker_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerWroteUnasked(WorkerEvent):
    """A worker wrote to its stdout though it had no request, and is replaced."""

    output: bytes


@dataclass(frozen=True, slots=True)
class ItemFailed(WorkerEvent):
    """An item ended with an error; `error` is its text in one line."""

    index: int
    error: str


@dataclass(frozen=True, slots=True)
class ItemsFinished(WorkerEvent):
    """A worker has answered `count` consecutive items, the first of them with this `index`.

    It had them since `since` until `at`; `job` is the number of their map, 0 for single requests.
    """

    index: int
    count: int
    since: float
    job: int
