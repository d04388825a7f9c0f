"""The state machines of a worker and of a pool, as tables of transitions.

The next state of a worker is `after(state, event)`, that of a pool `pool_after(state, event)`. An
event that is impossible in a state raises `IllegalTransition`.
"""

from __future__ import annotations

from enum import StrEnum

from processpool.core.machine import IllegalTransition


class WorkerState(StrEnum):
    """The states of a worker."""

    STARTING = "starting"
    """It is being started, and not ready for a request."""
    IDLE = "idle"
    """It waits for a request."""
    BUSY = "busy"
    """It has one or more requests."""
    LEASED = "leased"
    """A thread of the user's uses it directly, by a lease or a `call`."""
    STOPPING = "stopping"
    """It was asked to exit, or killed, and has not ended yet."""


class WorkerEvent(StrEnum):
    """The events that change the state of a worker."""

    READY = "ready"
    ASSIGNED = "assigned"
    FINISHED = "finished"
    TAKEN = "taken"
    RELEASED = "released"
    STOPPED = "stopped"


class PoolState(StrEnum):
    """The states of a pool."""

    NEW = "new"
    """It has not been opened; no process runs."""
    OPENING = "opening"
    """Its thread is being started."""
    OPEN = "open"
    """It accepts work and assigns it."""
    PAUSED = "paused"
    """It accepts work, but assigns none."""
    CLOSING = "closing"
    """It finishes the work it has, and accepts none."""
    CLOSED = "closed"
    """All workers have ended."""
    BROKEN = "broken"
    """Workers failed to start too often; `reset()` tries again."""
    FORKED = "forked"
    """It is a copy in a forked child of the process that opened it, and cannot be used."""


class PoolEvent(StrEnum):
    """The events that change the state of a pool."""

    OPENING = "opening"
    OPENED = "opened"
    LEFT_UNOPENED = "left unopened"
    """Its thread could not be started."""
    PAUSED = "paused"
    RESUMED = "resumed"
    BROKE = "broken"
    MENDED = "mended"
    CLOSING = "closing"
    CLOSED = "closed"
    FORKED = "forked"


class ExitStep(StrEnum):
    """The steps of ending a worker."""

    NONE = "none"
    """It is not being ended."""
    ASKED = "asked"
    """It was asked to exit."""
    DUMPING = "dumping"
    """It was asked to dump the stacks of its threads."""
    TERMINATED = "terminated"
    KILLED = "killed"
    GONE = "gone"
    """Its process has ended."""


class ExitEvent(StrEnum):
    """The events that lead from one exit step to another."""

    ASK = "ask"
    """The worker is no longer needed."""
    DUMP = "dump"
    """Its item timed out, and it can dump its stacks."""
    OVERDUE = "overdue"
    """The time limit of the current step is over."""
    HURRY = "hurry"
    """The time limit for closing the pool is over."""
    END = "end"
    """The worker must be ended at once."""
    LOST = "lost"
    """Its process has ended."""


_S, _E = WorkerState, WorkerEvent
_P, _N = PoolState, PoolEvent

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

POOL_TRANSITIONS: dict[tuple[PoolState, PoolEvent], PoolState] = {
    (_P.NEW, _N.OPENING): _P.OPENING,
    (_P.OPENING, _N.OPENED): _P.OPEN,
    (_P.OPENING, _N.LEFT_UNOPENED): _P.NEW,
    (_P.OPEN, _N.PAUSED): _P.PAUSED,
    (_P.PAUSED, _N.RESUMED): _P.OPEN,
    (_P.OPEN, _N.BROKE): _P.BROKEN,
    (_P.PAUSED, _N.BROKE): _P.BROKEN,
    (_P.BROKEN, _N.BROKE): _P.BROKEN,
    (_P.BROKEN, _N.MENDED): _P.OPEN,
    (_P.OPENING, _N.CLOSING): _P.CLOSING,
    (_P.OPEN, _N.CLOSING): _P.CLOSING,
    (_P.PAUSED, _N.CLOSING): _P.CLOSING,
    (_P.BROKEN, _N.CLOSING): _P.CLOSING,
    (_P.CLOSING, _N.CLOSING): _P.CLOSING,
    (_P.CLOSING, _N.CLOSED): _P.CLOSED,
    **{(state, _N.FORKED): _P.FORKED for state in _P},
}


def after(state: WorkerState, event: WorkerEvent) -> WorkerState:
    """Return the state that follows `event` in `state`, for a worker.

    Raises:
        IllegalTransition: the event is impossible in this state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a worker that is {state} cannot be {event}") from None


def pool_after(state: PoolState, event: PoolEvent) -> PoolState:
    """Return the state that follows `event` in `state`, for a pool.

    Raises:
        IllegalTransition: the event is impossible in this state.
    """
    try:
        return POOL_TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a pool that is {state} cannot be {event}") from None
