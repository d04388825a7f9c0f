"""A node's side: the pool there, which does the batches that come, and tells how it is.

Dask's thread: run ──▶ the node's own engine ──▶ workers
▲              │ answers, still pickled
└── packed ◀───┘
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from processpool.backends.messages import Inward, Result, pack, unpack
from processpool.backends.node.client_watch import ClientWatch
from processpool.backends.node.errands import NodeErrands
from processpool.backends.node.job import NodeJob
from processpool.backends.node.shared_time import SharedTime
from processpool.core import events
from processpool.core.batch_size import Pace
from processpool.core.jobs import Batch
from processpool.errors import ProcessPoolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processpool.backends.messages import Answers, Order
    from processpool.backends.node.client_watch import Host
    from processpool.engine.backend import Backend

TICK = 0.25
"""Seconds between two snapshots."""
WEIGH_EVERY = 4
"""Every so many snapshots have the workers' CPU time and memory."""
PACES = 64
"""The most maps whose pace is remembered."""
EXIT = 2.0
"""Seconds that workers may take to exit when a node leaves."""


class NodePool:
    """The pool of one node."""

    def __init__(self, engine: Backend, host: Host, topic: str, size: int, threads: int) -> None:
        """Begin with an engine that is open.

        Args:
            engine: the node's own.
            host: the Dask worker.
            topic: under which to tell how the node is.
            size: the most workers.
            threads: how many batches Dask runs here at a time.
        """
        self._engine = engine
        self._host = host
        self._topic = topic
        self._size = size
        self._threads = threads
        self._inward = Inward()
        self._errands = NodeErrands(engine, self._inward, host.address, self._tell_failure)
        self._time = SharedTime()
        self._jobs: dict[int, NodeJob] = {}
        self._paces: dict[int, Pace] = {}
        """By map; the last few."""
        self._paces_lock = threading.Lock()
        self._aborted: set[int] = set()
        self._happened: list[events.Event] = []
        self._over = threading.Event()
        self._teller = threading.Thread(target=self._tick, name="processpool-node", daemon=True)
        self.life = uuid4().hex
        """Identifies this pool among all that nodes at this address have had."""

    def begin(self, client: str) -> None:
        """Tell that the node is ready, and from now on, how it is; `client` is Dask's name."""
        self._watch = ClientWatch(self._host, client, self._topic)
        self._engine.listen(self._note, quick=True)
        self._tell(
            ready=True,
            life=self.life,
            name=str(self._host.name),
            host=socket.gethostname(),
            pid=os.getpid(),
            workers=self._size,
        )
        self._teller.start()

    def run(self, number: int, data: bytes) -> bytes:
        """Do a batch, and return its result."""
        order: Order = unpack(data)
        if order.life and order.life != self.life:
            return pack(Result(number, self._host.address, is_another=True))
        try:
            task = self._inward.task(order)
        except KeyError:
            return pack(Result(number, self._host.address, lacks_function=True))
        if self._errands.lacks(order.errands):
            return pack(Result(number, self._host.address, lacks_errand=True))
        job = NodeJob(self._engine, order, self._pace_of(order.map), self._size)
        job.task = task
        entered = self._time.enter()
        self._jobs[number] = job
        batch = Batch(job, order.start, self._inward.items(order), monotonic())
        try:
            self._engine.submit(batch, limit=False)
            if number in self._aborted:
                self._engine.cancel(job, kill=True)
            if not job.wait_for_end(early=True):
                self._make_way()
                job.wait_for_end()
        except ProcessPoolError as error:  # the pool here is broken, or closed
            job.result.trouble = str(error)
            job.result.dropped = [(0, len(batch))]
        finally:
            seconds = self._time.leave(entered)
            del self._jobs[number]
            self._aborted.discard(number)
        result = job.result
        if result.trouble:
            self._withdraw(result.trouble)
        result.node, result.seconds = self._host.address, seconds
        return pack(result)

    def _pace_of(self, number: int) -> Pace:
        """Return the pace of a map as it is known here; a single request has none yet."""
        with self._paces_lock:
            while len(self._paces) > PACES:
                del self._paces[next(iter(self._paces))]
            return self._paces.setdefault(number, Pace()) if number else Pace()

    def _make_way(self) -> None:
        """Let Dask begin another batch while this one ends, if all of its threads are occupied."""
        if len(self._jobs) < self._threads:
            return
        import distributed

        leave: Any = distributed.secede
        leave()

    def _withdraw(self, why: str) -> None:
        """Offer no more places: this node would only drain the queue.

        Only the scheduler is told. What it has sent here runs, so as to be given back.
        """
        if not self._over.is_set():
            offer, none = self._host.scheduler.set_resources, {self._topic: 0}
            where = self._host.contact_address
            self._host.loop.add_callback(offer, resources=none, worker=where)
            self._tell(failed=self._host.address, why=f"node {self._host.address}: {why}")

    def run_errand(self, data: bytes) -> bytes:
        """Have all workers do something first; return what those have returned that are there."""
        return self._errands.run(data)

    def abort(self, number: int) -> None:
        """End a batch that nobody waits for; takes no lock, as it runs on Dask's event loop."""
        self._aborted.add(number)
        job = self._jobs.get(number)
        if job is None:
            self._aborted.discard(number)
        else:
            self._engine.cancel(job, kill=True, soon=True)

    def told(self, what: str, *arguments: Any) -> None:
        """Do what the pool's process says, on a thread of its own, as it may block."""
        act = getattr(self, f"_do_{what}")
        threading.Thread(target=act, args=arguments, name="processpool-told", daemon=True).start()

    def close(self) -> None:
        """End the workers; a batch that is running is given back."""
        self._over.set()
        if self._teller.ident is not None:
            self._teller.join(EXIT)
        with suppress(ProcessPoolError):
            self._engine.close(0 if self._jobs else EXIT)

    # -- what it is told ---------------------------------------------------------------------------

    def _do_stop(self, numbers: list[int]) -> None:
        for number in numbers:
            job = self._jobs.get(number)
            if job is not None:
                self._engine.cancel(job, kill=False)

    def _do_resize(self, least: int | None, most: int | None, spare: int | None) -> None:
        with suppress(ValueError):
            self._engine.steering.resize(least, most, spare)
            self._size = self._engine.policy.max

    def _do_restart_all(self, wait: bool) -> None:
        self._engine.steering.restart_all(wait=wait)

    def _do_restart(self, life: str, number: int, wait: bool) -> None:
        if life == self.life:
            with suppress(ValueError):
                self._engine.steering.restart(number, wait=wait)

    def _do_catch_up(self, errands: list[bytes]) -> None:
        self._errands.catch_up(errands)

    def _do_forget(self, number: int) -> None:
        self._errands.forget(number)

    def _do_reset(self) -> None:
        self._engine.steering.reset()

    # -- telling -----------------------------------------------------------------------------------

    def _note(self, event: events.Event) -> None:
        if not isinstance(event, events.ItemsFinished | events.ItemFailed):
            self._happened.append(event)

    def _tick(self) -> None:
        count = 0
        while not self._over.wait(TICK):
            shot = self._engine.snapshot("", resources=count % WEIGH_EVERY == 0)
            count += 1
            self._watch.tick()
            now, happened = monotonic(), self._happened
            self._happened = []
            told = [(now - event.at, event) for event in happened]
            workers = [tuple(worker._replace(work=None)) for worker in shot.workers]
            with suppress(Exception):  # the connection is just lost: Dask makes another one
                self._tell(shot=pack((str(shot.state), workers, told)), life=self.life)

    def _tell_failure(self, number: int, run: Answers) -> None:
        self._tell(errand=number, answer=pack(run))

    def _tell(self, **what: Any) -> None:
        message: Mapping[str, Any] = {"node": self._host.address, **what}
        self._host.log_event(self._topic, dict(message))
