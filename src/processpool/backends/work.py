"""The work of a pool on a cluster: what waits, what is on its way, and where it can go.

Everything here happens on the pump's thread, or under the lock, or both. Batches are packed and
sent without the lock.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.backends.ledger import Ledger, Sent
from processpool.backends.nodes import Nodes
from processpool.backends.sizing import BatchLimits, Sizes
from processpool.core.states import PoolEvent, PoolState, pool_after
from processpool.core.work_queue import WorkQueue
from processpool.engine.core import CLOSED, NOT_OPEN
from processpool.engine.lock import EngineLock
from processpool.errors import PoolBroken, PoolClosed
from processpool.system.monitor import sleep_until

if TYPE_CHECKING:
    from processpool.core.jobs import Batch, Job

SLACK = 1e-6
"""Places are fractions, which do not add up exactly."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a pool uses its cluster; the fields are those of the `backend` section."""

    limits: BatchLimits
    """How large a batch may be."""
    batches_per_node: int
    on_node_loss: str
    least_nodes: int
    patience: float
    """Seconds to wait for these."""


@dataclass(frozen=True, slots=True)
class ClusterErrand:
    """What all workers are to do: an item of `job` for each of them."""

    job: Job
    payload: Any
    data: bytes
    """The same, as it travels."""

    def does_what(self, job: Job, payload: Any) -> bool:
        """True if another one does the same, so that a new worker need not do both."""
        return bool((self.job.task, self.payload) == (job.task, payload))


class Work:
    """The state of a pool on a cluster."""

    def __init__(self, terms: Terms, max_pending: int, name: str) -> None:
        self.terms = terms
        self.max_pending = max_pending
        self.name = name
        self.state = PoolState.NEW
        self.reason = ""
        """Why the pool is broken."""
        self.lock = EngineLock(sleep_until, self.room)
        """Guards all of this."""
        self.queue = WorkQueue()
        self.ledger = Ledger()
        self.nodes = Nodes()
        self.sizes = Sizes(terms.limits)
        self.errands: dict[int, ClusterErrand] = {}
        """What all workers do first, by number; replaced, never changed."""
        self.suspects: list[Batch] = []
        """Batches that may have killed nodes: each is tried alone."""
        self.singles = 0
        """The number of single requests that were answered or lost; maps count their own items."""

    # -- the pool's state --------------------------------------------------------------------------

    def change(self, event: PoolEvent) -> None:
        """Change the pool's state by the table of transitions."""
        with self.lock:
            self.state = pool_after(self.state, event)
            self.lock.notify_all()

    def state_error(self) -> PoolClosed | PoolBroken | None:
        """Return why the pool takes no work; None if it does."""
        match self.state:
            case PoolState.NEW | PoolState.OPENING:
                return PoolClosed(NOT_OPEN)
            case PoolState.CLOSING | PoolState.CLOSED:
                return PoolClosed(CLOSED)
            case PoolState.BROKEN:
                return PoolBroken(self.reason)
            case PoolState.FORKED:
                return PoolClosed("this pool belongs to the parent process; open one after fork()")
            case _:
                return None

    def require_open(self) -> None:
        """Check that the pool takes work.

        Raises:
            PoolClosed, PoolBroken: it does not.
        """
        error = self.state_error()
        if error is not None:
            raise error

    def room(self) -> int:
        """Return how many items the queue has room for; unlimited if nothing is going to wait."""
        if self.state not in (PoolState.OPEN, PoolState.PAUSED):
            return 1 << 60
        return max(self.max_pending - self.queue.items, 0)

    @property
    def is_done(self) -> bool:
        """True if no item is queued or on its way."""
        return not (self.queue.items or self.suspects or len(self.ledger))

    @property
    def waits_for_nodes(self) -> bool:
        """True if nothing is sent, although there is work, as there are no nodes."""
        return bool(self.queue or self.suspects) and not (self.nodes.ready or len(self.ledger))

    @property
    def unfinished(self) -> int:
        """The number of items that are queued or on their way."""
        return self.queue.items + self.ledger.items + sum(map(len, self.suspects))

    # -- what goes to the nodes --------------------------------------------------------------------

    def add(self, batch: Batch, *, limit: bool) -> bool:
        """Append items to the queue; return False if it is full."""
        with self.lock:
            self.require_open()
            if limit and not self.room():
                return False
            self.queue.append(batch)
            return True

    def take_next(self) -> Sent | None:
        """Take the next batch that can go to a node now; None if there is none."""
        with self.lock:
            if self.state not in (PoolState.OPEN, PoolState.CLOSING):
                return None
            sent = self._next_suspect() if self.suspects else self._next()
            if sent is not None:
                self._begin(sent)
            return sent

    def _next_suspect(self) -> Sent | None:
        """A batch that may kill nodes goes alone, so that no other is suspected for it."""
        if len(self.ledger) or not self.nodes.are_settled(monotonic()):
            return None
        node = self._target(1.0)
        if node is None:
            return None
        return self.ledger.enter(self.suspects.pop(0), 1.0, node, suspect=True)

    def _next(self) -> Sent | None:
        if not self.queue or any(sent.is_suspect for sent in self.ledger.all()):
            return None
        first, each = self.queue.first, self.nodes.workers_each
        size = self.sizes.next(first, first.job.queued, len(self.nodes.ready), each)
        cost = round(min(1.0, size / each), 3) or 0.001
        node = self._target(cost)
        return None if node is None else self.ledger.enter(self.queue.take(size), cost, node)

    def _target(self, cost: float) -> tuple[str, str] | None:
        """Return the node that a batch may go to; empty for any, None if there is no place."""
        places = self.terms.batches_per_node
        ready = self.nodes.ready
        if self.terms.on_node_loss == "error":
            used = {address: self.ledger.used(address) for address in ready}
            best = min(used, key=used.__getitem__, default=None)
            if best is None or used[best] + cost > places + SLACK:
                return None
            return best, ready[best].life
        if not len(self.ledger):  # without nodes, too: who waits makes an adaptive cluster grow
            return "", ""
        return ("", "") if self.ledger.used() + cost <= len(ready) * places + SLACK else None

    def _begin(self, sent: Sent) -> None:
        batch = sent.batch
        batch.attempts += 1
        batch.sent_at = monotonic()
        batch.job.begun = True
        batch.job.begin()
        self.lock.notify_all()

    def put_back(self, batch: Batch) -> None:
        """Have a batch done that has not been; without the lock."""
        batch.attempts -= 1
        with self.lock:
            if batch.job.cancelled or self.state is PoolState.CLOSED:
                gone = True
            else:
                gone = False
                self.queue.put_back([batch])
            self.lock.notify_all()
        if gone:
            batch.job.drop(batch, PoolClosed(CLOSED) if self.state is PoolState.CLOSED else None)

    def suspect(self, batch: Batch) -> None:
        """Have a batch done alone, since nodes were lost that had it."""
        with self.lock:
            self.suspects.append(batch)

    def count(self, batch: Batch) -> None:
        """Note that the items of a batch have ended."""
        with self.lock:
            self.singles += 0 if batch.job.number else len(batch)
            self.lock.notify_all()

    # -- what is taken back ------------------------------------------------------------------------

    def take_out(self, job: Job) -> list[Batch]:
        """Remove the batches of a job that have not been sent."""
        with self.lock:
            waiting = [batch for batch in self.queue if batch.job is job]
            if waiting:
                others = [batch for batch in self.queue.clear() if batch.job is not job]
                for batch in others:
                    self.queue.append(batch)
            waiting += [batch for batch in self.suspects if batch.job is job]
            self.suspects = [batch for batch in self.suspects if batch.job is not job]
            self.lock.notify_all()
        return waiting

    def clear(self) -> list[Batch]:
        """Remove all batches that have not been sent."""
        with self.lock:
            waiting, self.suspects = [*self.queue.clear(), *self.suspects], []
            self.lock.notify_all()
        return waiting


def cancelled() -> CancelledError:
    """Return the error of an item that was ended while a node had it."""
    return CancelledError("it was ended while a node had it")
