"""Takes work into an engine, and takes it back, on the callers' threads."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core.errands import Errand
from processpool.core.states import PoolState
from processpool.errors import ProcessPoolError, QueueFull
from processpool.system.interrupts import SHIELD, uninterrupted

if TYPE_CHECKING:
    from processpool.core.jobs import Batch, Job
    from processpool.engine.checkout import Checkout
    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher

NO_LIMIT = 1e9
"""Seconds that are no limit."""


class Intake:
    """Takes items in for one engine."""

    def __init__(self, core: Core, dispatcher: Dispatcher, checkout: Checkout) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._checkout = checkout

    def submit(self, batch: Batch, *, wait: bool = True, limit: bool = True) -> None:
        """Take items in, waiting for room in the queue, if `wait`.

        What comes in between something else on the same thread, from a signal's handler or a
        finaliser, is taken in a little later.

        Raises:
            QueueFull: there is no room, and `wait` is False.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        core = self._core
        if core.lock.is_mine or (limit and SHIELD.is_up):
            core.loop.post(partial(self._submit_later, batch))
            return
        while not self._submit_now(batch, limit=limit):
            if not wait:
                raise QueueFull(
                    f"the queue of pool {core.name!r} is full: {core.scheduler.queued} items wait, "
                    f"and queue.max_pending is {core.max_pending}; collect answers first, or let "
                    "it wait with queue.when_full: wait"
                )
            core.lock.wait_for(lambda: core.has_room or core.state_error() is not None)

    @uninterrupted
    def _submit_now(self, batch: Batch, *, limit: bool) -> bool:
        """Take items in; False if there is no room."""
        core, dispatcher = self._core, self._dispatcher
        with core.lock:
            scheduler = core.scheduler
            if scheduler.state is not PoolState.OPEN:
                error = core.state_error()
                if error is not None:
                    raise error
            now = monotonic()
            slot = scheduler.begin(batch, now) if len(batch) == 1 else None
            if slot is not None:  # the short way of a single item, if a worker is free
                worker = core.workers[slot.id]
                batch.job.begin()
                worker.outbox.append(batch)  # here, in the order of the decisions
                dispatcher.watch(worker)
                dispatcher.plan_timer()
            else:
                if limit and not core.has_room:
                    return False
                commands = scheduler.submit(batch, now)
                core.stage(commands)
        if slot is not None:
            dispatcher.send_single(worker, batch)
        else:
            core.execute(commands)
            self._checkout.yield_to_others()
        return True

    def _submit_later(self, batch: Batch) -> None:
        """Take in what came in between."""
        try:
            self._submit_now(batch, limit=False)
        except ProcessPoolError as error:
            batch.job.drop(batch, error)

    def broadcast(self, job: Job, payload: Any) -> int:
        """Have every worker run an item of a job, also those that come later.

        Returns:
            how many workers there are now: their items have the first indexes.
        """
        errand = Errand(job, payload)
        self._core.decide(partial(self._core.scheduler.broadcast, errand))
        self._checkout.yield_to_others()
        return errand.current

    def stop_stream(self, job: Job) -> None:
        """Have no more parts of a job's only item made. Takes no lock."""
        self._core.post(partial(self._stop_stream, job))

    def _stop_stream(self, job: Job) -> None:
        if self.recall(job):
            job.revoke()
            return
        for number, slot in list(self._core.scheduler.slots.items()):
            worker = self._core.workers.get(number)
            if worker is not None and any(batch.job is job for batch in slot.inflight):
                with worker.io:
                    if not worker.is_closed:
                        worker.protocol.stop_stream(job)

    def prolong(self, job: Job, *, waits: bool) -> None:
        """A part has come of a job's only item, so its time begins anew. Takes no lock.

        With `waits`, it waits for the reader, which is no time of its own.
        """
        self._core.post(partial(self._prolong, job, waits=waits))

    def _prolong(self, job: Job, *, waits: bool) -> None:
        core = self._core
        with core.lock:
            for slot in core.scheduler.slots.values():
                if slot.inflight and slot.inflight[0].job is job and slot.deadline is not None:
                    limit = NO_LIMIT if waits or job.timeout is None else job.timeout
                    core.scheduler.deadlines.set(slot, monotonic() + limit)

    def cancel(self, job: Job, *, kill: bool, soon: bool = False) -> None:
        """Nothing more of the job starts; with `kill`, the workers that run it are replaced.

        With `soon` that happens in a moment, and no lock is taken.
        """
        core = self._core
        decide = partial(core.decide, lambda now: core.scheduler.cancel(job, now, kill=kill))
        if soon:
            core.loop.post(decide)
        else:
            decide()

    @uninterrupted
    def recall(self, job: Job) -> bool:
        """Keep the one item of a job from being begun, wherever it is by now.

        Returns:
            False if the worker has begun it, or cannot give it back; True if it will never start.
        """
        core = self._core
        if core.lock.is_mine:
            return False
        with core.lock:
            if not job.begun or core.scheduler.keeps(job):
                job.recalled = True
                commands = core.scheduler.cancel(job, monotonic(), kill=False)
                core.lock.notify_all()
                number = None
            else:
                commands = []
                number = core.scheduler.holder(job)
        core.execute(commands)
        return job.recalled or (number is not None and self._dispatcher.recall(number, job))
