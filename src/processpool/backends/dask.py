"""An engine whose workers are on the nodes of a Dask cluster.

    submit ──▶ Work (queue, ledger) ──▶ pump ──▶ Connection ──▶ scheduler ──▶ nodes
                         ▲                                                      │
                         └──── Receiver, on the pump's thread ◀── results ◀─────┘

One thread, the pump, sends and takes everything. It leads: who waits for answers waits for it, so
it runs none of the user's code.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.backends.address import Address
from processpool.backends.life import ClusterLife, Orders
from processpool.backends.local_only import LocalOnly
from processpool.backends.membership import Membership
from processpool.backends.pump import Pump
from processpool.backends.receiver import Receiver
from processpool.backends.sender import Sender
from processpool.backends.sizing import BatchLimits
from processpool.backends.steering import ClusterSteering
from processpool.backends.work import Terms, Work, cancelled
from processpool.core.snapshot import PoolSnapshot
from processpool.engine.callback_threads import CallbackThreads
from processpool.engine.event_hub import EventHub
from processpool.engine.map_registry import Maps
from processpool.engine.recalls import take_out_queued
from processpool.errors import PoolClosed, QueueFull
from processpool.system.monitor import sleep_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from processpool.core.jobs import Batch, Job
    from processpool.core.policy import Policy
    from processpool.core.snapshot import WorkerCounts
    from processpool.core.states import PoolState
    from processpool.engine.backend import Steering

__all__ = ["Address", "BatchLimits", "DaskBackend", "Orders", "Terms"]


class DaskBackend(LocalOnly):
    """A `Backend` whose workers are on other machines."""

    def __init__(
        self,
        address: Address,
        orders: Orders,
        terms: Terms,
        policy: Policy,
        max_pending: int,
        name: str,
    ) -> None:
        """Begin without a connection.

        Args:
            address: where the cluster is.
            orders: what its nodes are told.
            terms: how the cluster is used.
            policy: the sizes, times and limits of each node's pool.
            max_pending: the most items in the queue.
            name: the pool's, for errors.
        """
        self.each = policy
        """The sizes, times and limits of each node's pool."""
        self._work = work = Work(terms, max_pending, name)
        self._pump = pump = Pump("processpool-dask")
        self._callbacks = CallbackThreads()
        self._callbacks.loop = pump
        self._hub = hub = EventHub(self, self._callbacks, name)
        self._sender = sender = Sender(work)
        self._receiver = receiver = Receiver(work, pump, hub, sender)
        receiver.membership = Membership(
            work, pump, hub, receiver, sender.send_all, sender.send_again
        )
        self._life = life = ClusterLife(address, orders, work, pump, hub, receiver, sender)
        life.callbacks = self._callbacks
        self._pid = os.getpid()
        self.maps = Maps()
        """The pool's maps, for displays."""
        self.max_pending = max_pending
        """The most items in the queue."""
        self.broadcast = receiver.errands.broadcast
        self.steering: Steering = ClusterSteering(self, work, hub)
        self.open = life.open
        self.wait_ready = life.wait_ready
        self.drain = life.drain
        self.close = life.close
        self.kill = life.kill
        self.listen = hub.listen
        self.wait = sleep_until
        self.call_when_room = work.lock.call_when_room
        self.forget_room = work.lock.forget

    # -- work ------------------------------------------------------------------------------------

    def submit(self, batch: Batch, *, wait: bool = True, limit: bool = True) -> None:
        """Submit items; with `limit`, wait while the queue is full.

        Raises:
            QueueFull: the queue is full, and `wait` is False.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        work = self._work
        if batch.job.cancelled:
            batch.job.drop(batch, None)
            return
        while not work.add(batch, limit=limit):
            if not wait:
                raise QueueFull(
                    f"the queue of pool {work.name!r} is full: {work.queue.items} items wait, and "
                    f"queue.max_pending is {self.max_pending}; collect answers first, or let it "
                    "wait with queue.when_full: wait"
                )
            work.lock.wait_for(lambda: work.room() > 0)
        self.go_on()

    def cancel(self, job: Job, *, kill: bool, soon: bool = False) -> None:
        """Drop the items of a job that have not begun; with `kill`, also end the running ones."""
        job.killed = job.killed or kill
        if soon:
            self._pump.post(partial(self._cancel, job, kill=kill))
        else:
            self._cancel(job, kill=kill)

    def _cancel(self, job: Job, *, kill: bool) -> None:
        work, connection = self._work, self._life.connection
        if job.is_errand:
            self._receiver.errands.forget(job)
            return
        with work.lock:
            job.cancelled = True
            sent = work.ledger.of(job)
            waiting = work.take_out(job)
        for batch in waiting:
            job.drop(batch, None)
        numbers = [one.number for one in sent]
        if connection is None or not numbers:
            return
        if kill:
            connection.cancel(numbers)
            self._receiver.give_up(sent, cancelled)
            self.go_on()
        else:
            connection.tell("stop", numbers)

    def stop_stream(self, job: Job) -> None:
        """Do nothing: no parts come from there."""

    def prolong(self, job: Job, *, waits: bool) -> None:
        """Do nothing: no parts come from there."""

    def recall(self, job: Job) -> bool:
        """Take a job's only item out of the queue; return False if it is on its way."""
        return take_out_queued(self._work, job)

    def unshare(self, name: str) -> None:
        """Do nothing: nothing is shared."""

    # -- looking ---------------------------------------------------------------------------------

    @property
    def state(self) -> PoolState:
        """The state of the pool."""
        return self._work.state

    def require_open(self) -> None:
        """Check that the pool takes work.

        Raises:
            PoolClosed, PoolBroken: it does not.
        """
        self._require_own_process()
        self._work.require_open()

    @property
    def policy(self) -> Policy:
        """The sizes, times and limits in force; the most workers are those of all nodes."""
        workers = self._work.nodes.workers or self.each.max
        least = min(self.each.min, workers)
        return replace(
            self.each, min=least, max=workers, spare=max(min(self.each.spare, workers), least)
        )

    @property
    def counts(self) -> WorkerCounts:
        """The numbers of workers by what they do."""
        with self._work.lock:
            return self._work.nodes.counts()

    def snapshot(self, name: str, *, resources: bool | Collection[int]) -> PoolSnapshot:
        """Return a snapshot of the pool, as the nodes have told last."""
        work, now, policy = self._work, monotonic(), self.policy
        running = [run.snapshot() for run in list(self.maps.running.values())]
        with work.lock:
            totals = self.maps.totals(running, work.singles)
            return PoolSnapshot(
                name=name,
                state=work.state,
                workers=work.nodes.snapshots(now),
                queued=work.queue.items + sum(map(len, work.suspects)),
                running=work.ledger.items,
                finished=totals.ok + totals.failed,
                failed=totals.failed,
                min=policy.min,
                max=policy.max,
                spare=policy.spare,
                maps=tuple(running),
                ended_maps=tuple(self.maps.ended),
                at=now,
                last_failure=self._hub.last_failure,
                cancelled=totals.cancelled,
                failures=tuple(self.maps.failures.groups()),
            )

    def tell(self, what: str, *arguments: Any, node: str = "") -> None:
        """Tell one node something, or all."""
        if self._life.connection is not None:
            self._life.connection.tell(what, *arguments, node=node)

    def go_on(self) -> None:
        """Send what can be sent, on the pump's thread."""
        self._pump.post(self._sender.send_all)

    # -- threads ---------------------------------------------------------------------------------

    def require_calm(self) -> None:
        """Check that the calling thread may block on the pool.

        Raises:
            PoolClosed: this process is a fork of the one that opened the pool.
            RuntimeError: the pool may be waiting for this thread, so blocking could deadlock.
        """
        self._require_own_process()
        self._work.lock.require_calm()

    def _require_own_process(self) -> None:
        if os.getpid() != self._pid:
            raise PoolClosed(
                "this pool belongs to the parent process; open a pool of its own after fork()"
            )

    @property
    def is_current(self) -> bool:
        """True on the pump's thread, which must not block."""
        return self._pump.is_current

    def run_callback(self, action: Callable[[], object]) -> None:
        """Call a function of the user's on a thread that may block."""
        self._callbacks.run(action)

    def after_turn(self, seconds: float, action: Callable[[], object]) -> bool:
        """Have `action` called after so many seconds, if this is the pump's thread."""
        if not self._pump.is_current:
            return False
        self._pump.later(seconds, action)
        return True

    def attend(self) -> None:
        """Do nothing: the pump takes answers promptly in any case."""
