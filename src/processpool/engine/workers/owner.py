"""Who has a worker: who writes to its pipes, reads from them, and says when it is free again.

Nobody but its owner talks to a worker. What others decide about it meanwhile waits until it is
back: what is to be sent, late stderr, even its end. The scheduler knows less: for it, a worker is
leased until it is released.
"""

from __future__ import annotations

from enum import StrEnum

from processpool.core.machine import Machine


class Owner(StrEnum):
    """Who has a worker."""

    POOL = "the pool's"
    """The engine: it gives it items, and whoever leads reads the answers."""
    CALL = "a call's"
    """The thread of a `call`, which talks to it without the lock and without its `io`."""
    WARM = "kept for calls"
    """Nobody: a call is done with it, and the next one takes it, without asking the scheduler."""
    LEASE = "a lease's"
    """The thread that has leased it."""


class OwnerEvent(StrEnum):
    """How a worker passes from one to another."""

    BORROWED = "borrowed"
    """A call takes it."""
    KEPT = "kept"
    """The call is done, and leaves it for the next."""
    LEASED = "leased"
    RETURNED = "returned"
    """It is given back, or will not be used again; under the lock."""


_S, _E = Owner, OwnerEvent
OWNERS: dict[tuple[Owner, OwnerEvent], Owner] = {
    (_S.POOL, _E.BORROWED): _S.CALL,
    (_S.CALL, _E.KEPT): _S.WARM,
    (_S.WARM, _E.BORROWED): _S.CALL,
    (_S.POOL, _E.LEASED): _S.LEASE,
    (_S.CALL, _E.RETURNED): _S.POOL,
    (_S.WARM, _E.RETURNED): _S.POOL,
    (_S.LEASE, _E.RETURNED): _S.POOL,
}
"""State and event → next state."""


def owner() -> Machine[Owner, OwnerEvent]:
    """The state of a new worker."""
    return Machine("a worker", OWNERS, Owner.POOL)
