"""An engine without processes and threads, for tests: requests are done in this process, in order.

    submit ──▶ queue ──▶ the thread that submits, unless another is at it ──▶ the item's job

Work is done by whoever submits it, before `submit` returns; what other threads submit meanwhile is
done by the one that is at it. While the pool is paused, work waits. The errors, records, events and
snapshots are those of a real pool; only what needs a process is not there: a timeout is seen when
the handler has returned, and nothing can end it before.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core import events
from processpool.core.map_registry import Maps
from processpool.core.policy import resized
from processpool.core.snapshot import PoolSnapshot
from processpool.core.states import PoolEvent, PoolState, WorkerEvent
from processpool.engine.backend import NotBegun
from processpool.engine.fake_work import FakeWork
from processpool.engine.fake_workers import FakeLease, FakeWorker, Handler
from processpool.errors import QueueFull
from processpool.system.monitor import sleep_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from processpool.core.jobs import Batch, Job
    from processpool.core.policy import Policy
    from processpool.core.snapshot import WorkerCounts
    from processpool.engine.backend import Steering
    from processpool.wire.python.functions import Request


class FakeBackend:
    """Does the work of one pool in this process; the fake `Backend`."""

    is_current = False
    """Nobody waits for a thread of its own: it has none."""

    def __init__(self, handler: Handler, policy: Policy, max_pending: int, name: str) -> None:
        """`handler` does the requests; `name` is the pool's, for errors."""
        self._work = work = FakeWork(handler, policy, max_pending)
        self._name = name
        self.maps = Maps()
        """The maps of the pool, for the displays."""
        self.max_pending = max_pending
        """Items that may wait."""
        self.steering: Steering = FakeSteering(work)
        self.listen = work.hub.listen
        self.wait = sleep_until
        self.require_open = work.require_open
        self.require_calm = work.lock.require_calm
        self.call_when_room = work.lock.call_when_room
        self.forget_room = work.lock.forget

    # -- opening and closing ---------------------------------------------------------------------

    def open(self, wanted: int, grace: float) -> None:
        """Begin; all workers are ready at once."""
        work = self._work
        work.change(PoolEvent.OPENING)
        work.change(PoolEvent.OPENED)
        work.roster.fill()
        work.hub.publish(events.PoolOpened(monotonic()))

    def wait_ready(self, wanted: int, timeout: float | None) -> bool:
        """True: they always are."""
        return True

    def drain(self, timeout: float | None) -> bool:
        """Wait until nothing waits or runs; False if that did not happen in time."""
        return self._work.lock.wait_for(lambda: self._work.is_done, timeout)

    def close(self, grace: float | None, *, wait: bool = True) -> None:
        """Take nothing more, do what waits, and end; a thread that is at it has `grace` seconds."""
        if self._begin_close():
            self._work.do_all()
            if wait:
                self.drain(grace)
            self._work.end()

    def kill(self, *, wait: bool = True) -> None:
        """End at once: what waits fails with `PoolClosed`, and what runs does when it returns."""
        if self._begin_close():
            self._work.end()

    def _begin_close(self) -> bool:
        if self.state in (PoolState.NEW, PoolState.CLOSED):
            return False
        self._work.change(PoolEvent.CLOSING)
        return True

    # -- work ------------------------------------------------------------------------------------

    def submit(self, batch: Batch, *, wait: bool = True, limit: bool = True) -> None:
        """Do these items, and what waits before them; while the pool is paused, they wait.

        Raises:
            QueueFull: there is no room, and `wait` is False.
            PoolClosed: no work is taken.
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
        """Refuse: here every request goes through the queue.

        Raises:
            NotBegun: always.
        """
        raise NotBegun

    def lease(self, timeout: float | None) -> FakeLease | None:
        """Give the caller a worker, waiting up to `timeout` seconds for one; None if none came.

        Raises:
            PoolClosed: no work is taken.
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
        """Start nothing more of the job; with `kill`, what runs of it has no value."""
        job.cancelled, job.killed = True, job.killed or kill
        for batch in self._work.take_out(job):
            job.drop(batch, None)

    def recall(self, job: Job) -> bool:
        """Keep the one item of a job from being begun; False if it has begun."""
        with self._work.lock:
            if not job.begun:
                job.recalled = True
                self._work.take_out(job)
            return job.recalled

    def unshare(self, name: str) -> None:
        """Do nothing: what is shared is this process's own."""

    # -- looking ---------------------------------------------------------------------------------

    @property
    def state(self) -> PoolState:
        """Where the pool is in its life."""
        return self._work.state

    @property
    def policy(self) -> Policy:
        """The numbers that hold now."""
        return self._work.roster.policy

    @property
    def counts(self) -> WorkerCounts:
        """How many workers do what."""
        with self._work.lock:
            return self._work.roster.counts()

    def snapshot(self, name: str, *, resources: bool | Collection[int]) -> PoolSnapshot:
        """The pool at this moment; a fake worker has no resources of its own."""
        work, now = self._work, monotonic()
        with work.lock:
            return PoolSnapshot(
                name=name,
                state=work.state,
                workers=tuple(worker.freeze(now) for worker in work.roster.workers.values()),
                queued=work.queued,
                running=work.running,
                finished=work.finished,
                failed=work.failed,
                min=self.policy.min,
                max=self.policy.max,
                spare=self.policy.spare,
                maps=tuple(run.snapshot() for run in list(self.maps.running.values())),
                ended_maps=tuple(self.maps.ended),
                at=now,
                last_failure=work.hub.last_failure,
            )

    # -- threads ---------------------------------------------------------------------------------

    def run_callback(self, action: Callable[[], object]) -> None:
        """Run code of the user's: here, where it may wait."""
        action()

    def attend(self) -> None:
        """Do nothing: whatever happens is seen to at once."""


class FakeSteering:
    """What may be changed while a fake pool runs."""

    def __init__(self, work: FakeWork) -> None:
        self._work = work

    def pause(self) -> None:
        """Do nothing until `resume`."""
        if self._work.state is PoolState.OPEN:
            self._work.change(PoolEvent.PAUSED)
            self._work.hub.publish(events.PoolPaused(monotonic()))

    def resume(self) -> None:
        """Go on, with what has come meanwhile first."""
        if self._work.state is PoolState.PAUSED:
            self._work.change(PoolEvent.RESUMED)
            self._work.hub.publish(events.PoolResumed(monotonic()))
            self._work.do_all()

    def resize(self, least: int | None, most: int | None, spare: int | None) -> None:
        """Change the sizes; None leaves one as it is.

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
        """Replace a worker; one that is at work has done with its item first.

        Raises:
            ValueError: there is none of this number.
        """
        workers = self._work.roster.workers
        with self._work.lock:
            if number not in workers:
                known = ", ".join(map(str, workers)) or "none"
                raise ValueError(f"there is no worker {number}; there are: {known}")
            self._work.roster.replace(workers[number])

    def reset(self) -> None:
        """Do nothing: a fake pool never breaks."""
