"""Commands: what the scheduler decides, for the engine to execute; tests compare lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from processpool.core.exit_reason import ExitReason
    from processpool.core.jobs import Batch
    from processpool.core.states import PoolState


class Spawn(NamedTuple):
    """Start the process of this worker, in this place, which users know as its slot."""

    worker: int
    place: int


class Send(NamedTuple):
    """Write this batch to the worker."""

    worker: int
    batch: Batch


class Stop(NamedTuple):
    """Ask the worker to exit: send its exit message, then close its stdin."""

    worker: int


class DumpStacks(NamedTuple):
    """Have the worker dump the stacks of its threads, shortly before it is killed."""

    worker: int


class Terminate(NamedTuple):
    """Send SIGTERM to the worker's process group."""

    worker: int


class Kill(NamedTuple):
    """Send SIGKILL to the worker's process group."""

    worker: int


class Grant(NamedTuple):
    """Lease the worker to this waiter."""

    worker: int
    waiter: LeaseWaiter


class TakeBack(NamedTuple):
    """Recall the items that the worker has not begun; with `read`, those it has read as well."""

    worker: int
    read: bool = False


class MakeWay(NamedTuple):
    """Recall the items that the worker has not begun, as others come first; then assign again."""

    worker: int


class Done(NamedTuple):
    """Deliver the worker's answers to these items."""

    worker: int
    batch: Batch


class Lost(NamedTuple):
    """Fail this one item: the worker ended during it; `exit_reason` is set if the pool ended it."""

    batch: Batch
    exit_reason: ExitReason | None


class Retry(NamedTuple):
    """Record a failed attempt, as for `Lost`; the item will be tried again."""

    batch: Batch
    exit_reason: ExitReason | None


class Drop(NamedTuple):
    """Drop these items, which will not be started; `state` is the pool's state at that moment."""

    batch: Batch
    state: PoolState


Command = (
    Spawn
    | Send
    | Stop
    | DumpStacks
    | Terminate
    | Kill
    | Grant
    | TakeBack
    | MakeWay
    | Done
    | Lost
    | Retry
    | Drop
)


class LeaseWaiter:
    """A caller that waits for a lease."""

    __slots__ = ("granted", "pool_state")

    def __init__(self) -> None:
        self.granted: int | None = None
        """The worker's number, once it is leased."""
        self.pool_state: PoolState | None = None
        """The pool's state, set when no worker will ever be leased to this caller."""
