"""The states of a worker and of a pool, and a table each of what may follow what.

The next state of a worker is `after(state, event)`, that of a pool `pool_after(state, event)`. An
event that is impossible in a state raises, and changes nothing.
"""

from __future__ import annotations

from enum import StrEnum

from processpool.core.machine import IllegalTransition


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
    OPENING = "opening"
    """About to run: its thread is being started."""
    OPEN = "open"
    """Taking work, and handing it out."""
    PAUSED = "paused"
    """Open, and taking work, but handing none out."""
    CLOSING = "closing"
    """Finishing what it has; nothing new is taken."""
    CLOSED = "closed"
    """Nothing of it is left."""
    BROKEN = "broken"
    """Workers failed to start too often; `reset()` tries again."""
    FORKED = "forked"
    """A copy in a child process of the one that opened it, where it is of no use."""


class PoolEvent(StrEnum):
    """What can happen to a pool and changes its state."""

    OPENING = "opening"
    OPENED = "opened"
    LEFT_UNOPENED = "left unopened"
    """There was no thread to run it."""
    PAUSED = "paused"
    RESUMED = "resumed"
    BROKE = "broken"
    MENDED = "mended"
    CLOSING = "closing"
    CLOSED = "closed"
    FORKED = "forked"


class ExitStep(StrEnum):
    """How far a worker is on its way out."""

    NONE = "none"
    """Nobody has asked it to exit."""
    ASKED = "asked"
    DUMPING = "dumping"
    """It was asked to dump the stacks of its threads."""
    TERMINATED = "terminated"
    KILLED = "killed"
    GONE = "gone"
    """Its process has ended."""


class ExitEvent(StrEnum):
    """What leads from one step to another."""

    ASK = "ask"
    """It is not needed any more."""
    DUMP = "dump"
    """It is out of time, and can dump its stacks."""
    OVERDUE = "overdue"
    """The time of its step is over."""
    HURRY = "hurry"
    """The time of the pool is over."""
    END = "end"
    """It is to be ended at once."""
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
    """Return the state of a worker after `event`.

    Raises:
        IllegalTransition: the event is impossible in this state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a worker that is {state} cannot be {event}") from None


def pool_after(state: PoolState, event: PoolEvent) -> PoolState:
    """Return the state of a pool after `event`.

    Raises:
        IllegalTransition: the event is impossible in this state.
    """
    try:
        return POOL_TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a pool that is {state} cannot be {event}") from None
