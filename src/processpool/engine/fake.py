"""An engine without processes or threads, for tests: items run in this process, in order.

    submit ──▶ queue ──▶ the submitting thread, or the one that is running items ──▶ the item's job

The thread that submits an item runs it, before `submit` returns. If another thread is running items
at that time, it also runs this one. While the pool is paused, items stay in the queue. Errors,
records, events and snapshots are those of a real pool, except for what needs a process: a timeout
is only noticed once the handler has returned, as nothing can interrupt it.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core import events
from processpool.core.errands import Errand
from processpool.core.policy import resized
from processpool.core.snapshot import PoolSnapshot
from processpool.core.states import PoolEvent, PoolState, WorkerEvent
from processpool.engine.backend import NotBegun
from processpool.engine.fake_workers import FakeLease, FakeWorker
from processpool.engine.map_registry import Maps
from processpool.engine.recalls import take_out_queued
from processpool.errors import QueueFull
from processpool.system.monitor import sleep_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from processpool.core.jobs import Batch, Job
    from processpool.core.policy import Policy
    from processpool.core.snapshot import WorkerCounts
    from processpool.engine.backend import Steering
    from processpool.engine.fake_work import FakeWork
    from processpool.wire.python.functions import Request


class FakeBackend:
    """A `Backend` that runs the items of a pool in this process."""

    is_current = False
    """False always: it has no thread of its own that others could wait for."""

    def __init__(self, work: FakeWork, name: str) -> None:
        """`work` runs the items; `name` is the pool's name, for errors."""
        self._work = work
        self._name = work.hub.pool = name
        self.maps = Maps()
        """The pool's maps, for displays."""
        self.max_pending = work.max_pending
        """The most items in the queue."""
        self.steering: Steering = FakeSteering(work)
        self.listen = work.hub.listen
        self.wait = sleep_until
        self.require_open = work.require_open
        self.require_calm = work.lock.require_calm
        self.call_when_room = work.lock.call_when_room
        self.forget_room = work.lock.forget

    # -- opening and closing ---------------------------------------------------------------------

    def open(self, wanted: int, grace: float) -> None:
        """Open the pool; its workers are ready at once."""
        work = self._work
        work.change(PoolEvent.OPENING)
        work.change(PoolEvent.OPENED)
        work.roster.fill()
        work.hub.publish(events.PoolOpened(monotonic()))

    def wait_ready(self, wanted: int, timeout: float | None) -> bool:
        """Return True: fake workers are always ready."""
        return True

    def drain(self, timeout: float | None) -> bool:
        """Wait until no item is queued or running; return False on timeout."""
        return self._work.lock.wait_for(lambda: self._work.is_done, timeout)

    def close(self, grace: float | None, *, wait: bool = True) -> None:
        """Reject new work, run what is queued, and close the pool.

        If another thread is running items, it has `grace` seconds to finish them.
        """
        if self._begin_close():
            self._work.do_all()
            if wait:
                self.drain(grace)
            self._work.end()

    def kill(self, *, wait: bool = True) -> None:
        """Close the pool at once: queued items fail with `PoolClosed`, running ones on return."""
        if self._begin_close():
            self._work.end()

    def _begin_close(self) -> bool:
        with self._work.lock:  # several threads may close it at once
            if self.state in (PoolState.NEW, PoolState.CLOSED):
                return False
            self._work.change(PoolEvent.CLOSING)
            return True

    # -- work ------------------------------------------------------------------------------------

    def submit(self, batch: Batch, *, wait: bool = True, limit: bool = True) -> None:
        """Run these items, after those queued before them; while the pool is paused, queue them.

        Raises:
            QueueFull: the queue is full, and `wait` is False.
            PoolClosed: the pool is not open.
        """
        work = self._work
        while not work.add(batch, limit=limit):
            if not wait:
                raise QueueFull(
                    f"the queue of pool {self._name!r} is full: {work.queued} items wait, and "
                    f"queue.max_pending is {self.max_pending}; collect answers first, or let it "
                    "wait with queue.when_full: wait"
                )
            work.lock.wait_for(lambda: work.room() > 0)
        work.do_all()

    def exchange(self, request: Request, timeout: float | None) -> Any:
        """Raise NotBegun, so that every request goes through the queue.

        Raises:
            NotBegun: always.
        """
        raise NotBegun

    def lease(self, timeout: float | None) -> FakeLease | None:
        """Lease a worker, waiting up to `timeout` seconds for one; return None on timeout.

        Raises:
            PoolClosed: the pool is not open.
        """
        worker = self._work.lock.wait_for(self._take_for_lease, timeout)
        return None if worker is None else FakeLease(worker, self._work.handler, self._give_back)

    def _take_for_lease(self) -> FakeWorker | None:
        self.require_open()
        return self._work.roster.take(WorkerEvent.TAKEN)

    def _give_back(self, worker: FakeWorker, failed: bool) -> None:
        work = self._work
        with work.lock:
            if self.state is not PoolState.CLOSED:
                if failed:
                    work.roster.replace(worker)
                else:
                    work.roster.free(worker, WorkerEvent.RELEASED)
            work.lock.notify_all()
        work.do_all()

    def cancel(self, job: Job, *, kill: bool, soon: bool = False) -> None:
        """Drop the job's queued items; with `kill`, running ones fail when they return."""
        job.cancelled, job.killed = True, job.killed or kill
        for batch in self._work.take_out(job):
            job.drop(batch, None)

    def broadcast(self, job: Job, payload: Any) -> int:
        """Run an item of a job on every worker, and on those that come later before their first.

        Returns:
            how many workers there are now.
        """
        return self._work.run_everywhere(Errand(job, payload))

    def stop_stream(self, job: Job) -> None:
        """Do nothing: its parts are made as they are read."""

    def prolong(self, job: Job, *, waits: bool) -> None:
        """Do nothing: no item is interrupted."""

    def recall(self, job: Job) -> bool:
        """Take a job's only item out of the queue; return False if it has begun."""
        return take_out_queued(self._work, job)

    def require_streams(self) -> None:
        """Do nothing: the parts are in this process."""

    def require_shared_memory(self) -> None:
        """Do nothing: all memory is this process's."""

    def unshare(self, name: str) -> None:
        """Do nothing: shared objects are used directly in this process."""

    # -- looking ---------------------------------------------------------------------------------

    @property
    def state(self) -> PoolState:
        """The state of the pool."""
        return self._work.state

    @property
    def policy(self) -> Policy:
        """The sizes, times and limits in force."""
        return self._work.roster.policy

    @property
    def counts(self) -> WorkerCounts:
        """The numbers of workers by what they do."""
        with self._work.lock:
            return self._work.roster.counts()

    def snapshot(self, name: str, *, resources: bool | Collection[int]) -> PoolSnapshot:
        """Return a snapshot of the pool; fake workers have no CPU time or memory of their own."""
        work, now = self._work, monotonic()
        running = [run.snapshot() for run in list(self.maps.running.values())]
        with work.lock:
            totals = self.maps.totals(running, work.singles)
            return PoolSnapshot(
                name=name,
                state=work.state,
                workers=tuple(worker.freeze(now) for worker in work.roster.workers.values()),
                queued=work.queued,
                running=work.running,
                finished=totals.ok + totals.failed,
                failed=totals.failed,
                min=self.policy.min,
                max=self.policy.max,
                spare=self.policy.spare,
                maps=tuple(running),
                ended_maps=tuple(self.maps.ended),
                at=now,
                last_failure=work.hub.last_failure,
                cancelled=totals.cancelled,
                failures=tuple(self.maps.failures.groups()),
            )

    # -- threads ---------------------------------------------------------------------------------

    def run_callback(self, action: Callable[[], object]) -> None:
        """Call a function of the user's, on this thread."""
        action()

    def after_turn(self, seconds: float, action: Callable[[], object]) -> bool:
        """Return False: nobody leads."""
        return False

    def attend(self) -> None:
        """Do nothing: there are no answers that a thread would have to read."""


class FakeSteering:
    """The controls of a fake pool."""

    def __init__(self, work: FakeWork) -> None:
        self._work = work

    def pause(self) -> None:
        """Run no items until `resume`."""
        if self._work.state is PoolState.OPEN:
            self._work.change(PoolEvent.PAUSED)
            self._work.hub.publish(events.PoolPaused(monotonic()))

    def resume(self) -> None:
        """Run items again, beginning with those queued meanwhile."""
        if self._work.state is PoolState.PAUSED:
            self._work.change(PoolEvent.RESUMED)
            self._work.hub.publish(events.PoolResumed(monotonic()))
            self._work.do_all()

    def resize(self, least: int | None, most: int | None, spare: int | None) -> None:
        """Change the sizes that are not None.

        Raises:
            ValueError: the sizes contradict each other.
        """
        work = self._work
        with work.lock:
            policy = work.roster.policy = resized(work.roster.policy, least, most, spare)
            work.roster.fill()
            work.lock.notify_all()
        work.hub.publish(events.PoolResized(monotonic(), policy.min, policy.max, policy.spare))

    def restart(self, number: int, *, wait: bool) -> None:
        """Replace a worker; a running item is not affected.

        Raises:
            ValueError: there is no worker with this number.
        """
        workers = self._work.roster.workers
        with self._work.lock:
            if number not in workers:
                known = ", ".join(map(str, workers)) or "none"
                raise ValueError(f"there is no worker {number}; there are: {known}")
            self._work.roster.replace(workers[number])

    def restart_all(self, *, wait: bool) -> None:
        """Replace every worker; running items are not affected."""
        with self._work.lock:
            for worker in list(self._work.roster.workers.values()):
                self._work.roster.replace(worker)

    def reset(self) -> None:
        """Do nothing: a fake pool never breaks."""
