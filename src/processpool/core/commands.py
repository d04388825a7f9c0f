"""What is to be done, as the scheduler says it: imperative, and compared as lists in the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from processpool.core.exit_reason import ExitReason
    from processpool.core.jobs import Batch
    from processpool.core.states import PoolState


class Spawn(NamedTuple):
    """Start a process for this worker, in this place: what users know as its slot."""

    worker: int
    place: int


class Send(NamedTuple):
    """Write this batch to the worker."""

    worker: int
    batch: Batch


class Stop(NamedTuple):
    """Ask the worker to exit: its exit message, then the end of its input."""

    worker: int


class DumpStacks(NamedTuple):
    """Have the worker dump the stacks of its threads; it is killed in a moment."""

    worker: int


class Terminate(NamedTuple):
    """Send SIGTERM to the worker's process group."""

    worker: int


class Kill(NamedTuple):
    """Send SIGKILL to the worker's process group."""

    worker: int


class Grant(NamedTuple):
    """The worker belongs to this waiter from now on."""

    worker: int
    waiter: LeaseWaiter


class TakeBack(NamedTuple):
    """Take back from the worker what it has not begun; with `read`, what it has read as well."""

    worker: int
    read: bool = False


class Done(NamedTuple):
    """The worker has answered these items: hand the answers over."""

    worker: int
    batch: Batch


class Lost(NamedTuple):
    """The worker ended while it had this one item; `exit_reason` says why, if the pool ended it."""

    batch: Batch
    exit_reason: ExitReason | None


class Retry(NamedTuple):
    """As `Lost`, but the item will be tried again."""

    batch: Batch
    exit_reason: ExitReason | None


class Drop(NamedTuple):
    """These items will not be started; `state` is the pool's at that moment."""

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
    | Done
    | Lost
    | Retry
    | Drop
)


class LeaseWaiter:
    """A place in the line for a leased worker."""

    __slots__ = ("granted", "pool_state")

    def __init__(self) -> None:
        self.granted: int | None = None
        """The worker's number, once one is granted."""
        self.pool_state: PoolState | None = None
        """Set when the pool will never grant it."""
