"""Opening and closing of a pool on a cluster."""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from processpool.backends.connection import Connection
from processpool.core import events
from processpool.core.states import PoolEvent, PoolState
from processpool.engine import at_exit
from processpool.engine.core import CLOSED
from processpool.errors import PoolClosed, WorkerStartFailed
from processpool.system.interrupts import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.backends.address import Address
    from processpool.backends.pump import Pump
    from processpool.backends.receiver import Receiver
    from processpool.backends.sender import Sender
    from processpool.backends.work import Work
    from processpool.engine.callback_threads import CallbackThreads
    from processpool.engine.event_hub import EventHub

LOOK_EVERY = 0.5
"""Seconds between two looks at the connection."""
END = 5.0
"""Seconds to wait for a thread that is about to end."""


class Orders(NamedTuple):
    """What a node is told."""

    build: str
    """The function that opens the engine of a node's pool, as module:attribute."""
    declaration: str
    """The validated configuration, as JSON."""
    workers: int
    """The most workers of a node; 0 for as many as it has cores."""


class ClusterLife:
    """Opens and closes a `DaskBackend`."""

    def __init__(
        self,
        address: Address,
        orders: Orders,
        work: Work,
        pump: Pump,
        hub: EventHub,
        receiver: Receiver,
        sender: Sender,
    ) -> None:
        self._address = address
        self._orders = orders
        self._work = work
        self._pump = pump
        self._hub = hub
        self._receiver = receiver
        self._sender = sender
        self._pid = os.getpid()
        self.callbacks: CallbackThreads
        """The threads that run the user's callbacks."""
        self.connection: Connection | None = None
        """The connection to the cluster, while there is one."""

    def open(self, wanted: int, grace: float) -> None:
        """Connect to the cluster, and wait for `wait_for_nodes.min` nodes.

        Raises:
            WorkerStartFailed: there is no scheduler, or there are too few nodes that can run it.
        """
        self._work.change(PoolEvent.OPENING)
        try:
            self._open()
        except BaseException:
            self.kill()
            raise
        at_exit.close(self, self._work.name, grace)
        self._work.change(PoolEvent.OPENED)
        self._hub.publish(events.PoolOpened(monotonic()))
        self._pump.post(self._watch)

    def _watch(self) -> None:
        """Break the pool if the scheduler is gone; on the pump's thread, from time to time."""
        connection, state = self.connection, self._work.state
        if connection is None or state is PoolState.CLOSED:
            return
        if not connection.is_up and state is not PoolState.BROKEN:
            self._receiver.membership.break_pool(
                f"the connection to the scheduler at {connection.address} was lost; when there is "
                "one again, with nodes, close this pool and open another one"
            )
        self._pump.later(LOOK_EVERY, self._watch)

    def _open(self) -> None:
        name = f"pp-{uuid4().hex[:12]}"
        self._pump.start()
        self.connection = connection = Connection(self._address, self._receiver, name)
        self._receiver.connection = self._sender.connection = connection
        terms, orders = self._work.terms, self._orders
        wants = {
            "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
            "version": sys.modules["processpool"].__version__,
            "client": connection.client_name,
            "places": terms.batches_per_node,
            "workers": orders.workers,
        }
        connection.register(orders.build, orders.declaration, wants)
        self._await_nodes(terms.least_nodes, terms.patience)

    def _await_nodes(self, least: int, patience: float) -> None:
        nodes = self._work.nodes

        def enough() -> bool:
            return len(nodes.ready) >= least or bool(nodes.failed and not nodes.ready)

        self._work.lock.wait_for(enough, patience)
        if len(nodes.ready) < least:
            why = "; ".join(nodes.failed.values())
            raise WorkerStartFailed(
                why
                or f"{len(nodes.ready)} of {least} nodes were ready at {self._address} after "
                f"{patience:g} s: start one on each machine with `dask worker {self._address}`, "
                "or change backend.wait_for_nodes"
            )

    def wait_ready(self, wanted: int, timeout: float | None) -> bool:
        """Wait until `wanted` workers are ready, on whatever nodes; return False on timeout.

        Raises:
            PoolClosed, PoolBroken: the pool has ended meanwhile.
        """
        work = self._work

        def ready() -> bool:
            work.require_open()
            return work.nodes.seen_ready >= wanted

        return work.lock.wait_for(ready, timeout)

    def drain(self, timeout: float | None) -> bool:
        """Wait until no item is queued or on its way; return False on timeout."""
        work = self._work
        return work.lock.wait_for(
            lambda: work.is_done or work.state in (PoolState.CLOSED, PoolState.BROKEN), timeout
        )

    @property
    def unfinished(self) -> int:
        """The number of queued and running items."""
        return self._work.unfinished

    def begin_close(self, grace: float | None = None) -> bool:
        """Reject new work; return False in a fork, or if the pool is not open."""
        if os.getpid() != self._pid or self._work.state in (PoolState.NEW, PoolState.CLOSED):
            return False
        self._work.change(PoolEvent.CLOSING)
        return True

    def close(self, grace: float | None, *, wait: bool = True) -> None:
        """Reject new work, and close when all items have ended, or after `grace` seconds."""
        if wait:
            self._close(grace)
        else:
            self._pump.post(partial(self._aside, partial(self._close, grace)))

    def kill(self, *, wait: bool = True) -> None:
        """End all items at once, and close."""
        self.close(0, wait=wait)

    @uninterrupted
    def _close(self, grace: float | None) -> None:
        if not self.begin_close(grace):
            return
        try:
            self.drain(grace)
        finally:
            self._finish()

    def _finish(self) -> None:
        work, connection = self._work, self.connection
        with work.lock:
            if work.state is PoolState.CLOSED:
                return
            work.change(PoolEvent.CLOSED)
            sent, waiting = work.ledger.all(), work.clear()
        try:
            if connection is not None:
                connection.cancel([one.number for one in sent])
            for batch in waiting:
                batch.job.drop(batch, PoolClosed(CLOSED))
            self._receiver.give_up(
                sent, lambda: PoolClosed("the pool was closed while a node had the item")
            )
        finally:
            if connection is not None:
                connection.close()
            self._hub.publish(events.PoolClosedDown(monotonic()))
            self.callbacks.finish()
            self._pump.stop()
            self._pump.join(END)

    @staticmethod
    def _aside(action: Callable[[], object]) -> None:
        threading.Thread(target=action, name="processpool-closing", daemon=True).start()
