"""The states of a worker and of a pool, and the one table of what may follow what.

Nothing else changes a state: whoever has news of a worker asks `after(state, event)`, and news that
is impossible in that state raises and changes nothing.
"""

from __future__ import annotations

from enum import StrEnum


class WorkerState(StrEnum):
    """Where a worker is in its life."""

    STARTING = "starting"
    """The process runs, and is not ready for a request yet."""
    IDLE = "idle"
    """Ready, and waiting for a request."""
    BUSY = "busy"
    """Has one or more requests."""
    LEASED = "leased"
    """Driven by hand, or by a `call`, on a thread of the user's."""
    STOPPING = "stopping"
    """Asked to exit, or killed; gone in a moment."""


class WorkerEvent(StrEnum):
    """What can happen to a worker and changes its state."""

    READY = "ready"
    ASSIGNED = "assigned"
    FINISHED = "finished"
    TAKEN = "taken"
    RELEASED = "released"
    STOPPED = "stopped"


class PoolState(StrEnum):
    """Where a pool is in its life."""

    NEW = "new"
    """Declared and validated; no process runs."""
    OPEN = "open"
    PAUSED = "paused"
    """Open, and taking work, but handing none out."""
    CLOSING = "closing"
    """Finishing what it has; nothing new is taken."""
    CLOSED = "closed"
    BROKEN = "broken"
    """Workers failed to start too often; `reset()` tries again."""


_S, _E = WorkerState, WorkerEvent

TRANSITIONS: dict[tuple[WorkerState, WorkerEvent], WorkerState] = {
    (_S.STARTING, _E.READY): _S.IDLE,
    (_S.IDLE, _E.ASSIGNED): _S.BUSY,
    (_S.BUSY, _E.ASSIGNED): _S.BUSY,
    (_S.BUSY, _E.FINISHED): _S.IDLE,
    (_S.IDLE, _E.TAKEN): _S.LEASED,
    (_S.LEASED, _E.RELEASED): _S.IDLE,
    (_S.STARTING, _E.STOPPED): _S.STOPPING,
    (_S.IDLE, _E.STOPPED): _S.STOPPING,
    (_S.BUSY, _E.STOPPED): _S.STOPPING,
    (_S.LEASED, _E.STOPPED): _S.STOPPING,
}


class IllegalTransition(RuntimeError):
    """A worker was told of what cannot happen in its state: a fault of the pool itself."""


def after(state: WorkerState, event: WorkerEvent) -> WorkerState:
    """The state that follows `event`.

    Raises:
        IllegalTransition: the event is impossible in this state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a worker that is {state} cannot be {event}") from None
