"""The queue of a fake engine, and the loop that runs its items on the calling thread."""

from __future__ import annotations

from collections import deque
from concurrent.futures import CancelledError
from threading import get_ident
from time import monotonic
from types import GeneratorType
from typing import TYPE_CHECKING, NamedTuple

from processpool.core import events
from processpool.core.exit_reason import ExitReason
from processpool.core.jobs import Batch, Origin, Retirement
from processpool.core.replies import Reply
from processpool.core.states import PoolEvent, PoolState, WorkerEvent, pool_after
from processpool.engine.answered import asked_too_often, may_retire
from processpool.engine.callback_threads import CallbackThreads
from processpool.engine.core import CLOSED, NOT_OPEN
from processpool.engine.event_hub import EventHub
from processpool.engine.lock import EngineLock
from processpool.errors import PoolClosed, RequestTimeout, Retire, WorkerDied
from processpool.system.monitor import sleep_until
from processpool.wire.python.layout import ECHOED, STREAMED
from processpool.wire.python.remote_errors import format_error

if TYPE_CHECKING:
    from processpool.core.errands import Errand
    from processpool.core.jobs import Job
    from processpool.engine.fake_workers import FakeWorker, Handler, Roster


_COSTS_THE_WORKER = (WorkerDied, RequestTimeout, CancelledError, Retire)


class _Doing(NamedTuple):
    """An item and the worker that it was assigned to."""

    worker: FakeWorker
    batch: Batch


class FakeWork:
    """The state, queue and workers of a fake pool."""

    is_current = False
    """False always: there is no thread of its own that others could wait for."""

    def __init__(self, handler: Handler, roster: Roster, max_pending: int) -> None:
        self.handler = handler
        self.max_pending = max_pending
        self.state = PoolState.NEW
        self.roster = roster
        self.lock = EngineLock(sleep_until, self.room)
        """Guards all of this; not held while the user's code runs."""
        self.hub = EventHub(self, CallbackThreads())
        self.queue: deque[Batch] = deque()
        self.running = self.singles = 0
        self.errands: list[Errand] = []
        """What every worker does first."""
        self.running_thread: int | None = None
        """The thread that is running items; None if no thread is."""

    @property
    def queued(self) -> int:
        """The number of items in the queue."""
        return sum(map(len, self.queue))

    @property
    def is_done(self) -> bool:
        """True if no item is queued or running."""
        return not (self.queue or self.running)

    def room(self) -> int:
        """Return how many items the queue has room for; unlimited once the pool is closing."""
        ending = self.state in (PoolState.CLOSING, PoolState.CLOSED)
        return 1 << 60 if ending else max(self.max_pending - self.queued, 0)

    def change(self, event: PoolEvent) -> None:
        """Change the pool's state by the table of transitions."""
        with self.lock:
            self.state = pool_after(self.state, event)
            self.lock.notify_all()

    def require_open(self) -> None:
        """Check that the pool is open.

        Raises:
            PoolClosed: it is not.
        """
        if self.state is PoolState.NEW:
            raise PoolClosed(NOT_OPEN)
        if self.state in (PoolState.CLOSING, PoolState.CLOSED):
            raise PoolClosed(CLOSED)

    def add(self, batch: Batch, *, limit: bool) -> bool:
        """Append items to the queue; return False if it is full."""
        with self.lock:
            self.require_open()
            if limit and not self.room():
                return False
            self.queue.append(batch)
            return True

    def run_everywhere(self, errand: Errand) -> int:
        """Run an errand on every worker; return how many there are."""
        self.require_open()
        with self.lock:
            self.errands.append(errand)
            workers = list(self.roster.workers.values())
        for worker in workers:
            self._run_errands(worker)
        return len(workers)

    def _run_errands(self, worker: FakeWorker) -> None:
        """Run what a worker is to do before anything else."""
        while worker.errands < len(self.errands):
            errand = self.errands[worker.errands]
            worker.errands += 1
            batch = errand.batch(since := monotonic())
            reply = worker.perform(self.handler, errand.payload, errand.job.task)
            ended = Origin(worker.id, worker.pid, since, monotonic(), plain=False)
            errand.job.deliver(batch, [reply], ended)

    def take_out(self, job: Job) -> list[Batch]:
        """Remove a job's batches from the queue and return them."""
        with self.lock:
            found = [batch for batch in self.queue if batch.job is job]
            self.queue = deque(batch for batch in self.queue if batch.job is not job)
            self.lock.notify_all()
        return found

    def end(self) -> None:
        """Change to CLOSED, unless it is so already, and drop all queued items."""
        with self.lock:
            if self.state is PoolState.CLOSED:
                return
            self.change(PoolEvent.CLOSED)
            dropped = list(self.queue)
            self.queue.clear()
            self.roster.workers.clear()
        for batch in dropped:
            batch.job.drop(batch, PoolClosed(CLOSED))
        self.hub.publish(events.PoolClosedDown(monotonic()))

    def do_all(self) -> None:
        """Run the queued items, unless another thread is running items, which then takes them.

        A handler may use the pool, so this may be called again on the thread that runs it.
        """
        with self.lock:
            before = self.running_thread
            if before not in (None, get_ident()):
                return
            self.running_thread = get_ident()
        while True:
            with self.lock:
                doing = self._next()
                if doing is None:
                    self.running_thread = before
                    self.lock.notify_all()
                    return
            try:
                self._do(*doing)
            except BaseException:
                self.running_thread = before
                raise

    def _next(self) -> _Doing | None:
        """Assign the next item to a worker; return None if there is no item or no free worker."""
        if not self.queue or self.state not in (PoolState.OPEN, PoolState.CLOSING):
            return None
        worker = self.roster.take(WorkerEvent.ASSIGNED)
        if worker is None:
            return None
        batch = max(self.queue, key=lambda batch: batch.job.terms.priority)  # the first of equals
        if len(batch) > 1:
            batch = batch.advance(1)
        else:
            self.queue.remove(batch)
        batch.attempts += 1
        batch.sent_at = monotonic()
        worker.item, worker.attempt = batch.start, batch.attempts
        batch.job.begun = True
        batch.job.begin()
        self.running += 1
        return _Doing(worker, batch)

    def _do(self, worker: FakeWorker, batch: Batch) -> None:
        self._run_errands(worker)
        job, interrupt, since = batch.job, None, monotonic()
        try:
            reply = worker.perform(self.handler, batch.payloads[0], job.task)
        except BaseException as error:  # Ctrl-C: fail the item, so that its caller stops waiting
            reply, interrupt = Reply(error=error), error
        _lend_parts(job, reply)
        reply.error = self._verdict(worker, batch, reply, monotonic() - since)
        origin = Origin(worker.id, worker.pid, since, monotonic(), failed=int(bool(reply.error)))
        origin.stderr, reply.stderr = reply.stderr or "", None
        origin.slot = worker.place
        origin.plain = reply.error is None and reply.stdout is None
        again = self._finish(worker, batch, reply, origin)
        if not again:
            self._tell(batch, reply, origin)
        with self.lock:
            self.running -= 1
            self.lock.notify_all()
        if interrupt is not None:
            raise interrupt

    def limit(self, timeout: float | None) -> float | None:
        """Return how many seconds an item may take, if its timeout is this."""
        return timeout

    def _verdict(
        self, worker: FakeWorker, batch: Batch, reply: Reply, seconds: float
    ) -> BaseException | None:
        """Return an item's error: what it raised, or what a real pool would have made of it."""
        who, limit = f"worker {worker.id} (pid {worker.pid})", self.limit(batch.job.timeout)
        if self.state is PoolState.CLOSED:
            return PoolClosed(f"the pool was closed while {who} had the item")
        if batch.job.killed:
            return CancelledError(f"{who} {ExitReason.CANCELLED.sentence}")
        if limit is not None and seconds > limit and reply.error is None:
            late = ExitReason.TIMEOUT.sentence.format(limit=limit, where="")
            return RequestTimeout(f"{who} {late}")
        return reply.error

    def _finish(self, worker: FakeWorker, batch: Batch, reply: Reply, origin: Origin) -> bool:
        """Update the counts and the worker after an item; return True if it is to be retried."""
        with self.lock:
            worker.handled += 1
            again = reply.error is not None and self._again(batch, reply, origin)
            if again:
                self.queue.appendleft(batch)
            else:
                self.singles += not batch.job.number
                worker.failed += origin.failed
            if isinstance(reply.error, _COSTS_THE_WORKER):
                successor = self.roster.replace(worker)
            else:
                successor = None
                self.roster.free(worker, WorkerEvent.FINISHED)
        if successor is not None:
            self._tell_of_death(worker, successor, reply.error)
        return again

    def _again(self, batch: Batch, reply: Reply, origin: Origin) -> bool:
        """True if an item that has failed is to be done once more; notes what became of it."""
        assert reply.error is not None
        attempt = batch.attempt(0, reply, origin)
        if isinstance(reply.error, Retire):
            if not may_retire(batch):
                reply.error = asked_too_often(str(reply.error))
                return False
            attempt = Retirement.of(attempt)
            batch.attempts -= 1
        elif not self._retries(batch, reply.error):
            return False
        batch.history = (*batch.history, attempt)
        return True

    def _retries(self, batch: Batch, error: BaseException) -> bool:
        is_open = self.state is not PoolState.CLOSED and not batch.job.cancelled
        retries = batch.job.terms.retries or self.roster.policy.retries
        return is_open and retries.allow(_reason(error), batch.attempts)

    def _tell_of_death(
        self, worker: FakeWorker, successor: FakeWorker, error: BaseException | None
    ) -> None:
        now, exitcode = monotonic(), getattr(error, "exitcode", None)
        reason = None if isinstance(error, WorkerDied) else "replaced"
        self.hub.publish(
            events.WorkerExited(now, worker.id, worker.pid, exitcode or 0, reason, worker.stderr)
        )
        self.hub.publish(events.WorkerStarted(now, successor.id, successor.pid))
        self.hub.publish(events.WorkerBecameReady(now, successor.id, successor.pid, 0.0))

    def _tell(self, batch: Batch, reply: Reply, origin: Origin) -> None:
        """Publish the event of a finished or failed item, then deliver the answer to its job."""
        who, job = (origin.until, origin.worker_id, origin.pid), batch.job
        if reply.error is None:
            self.hub.publish(events.ItemsFinished.of(batch, origin))
        else:
            text = format_error(reply.error)
            self.hub.remember(text, origin.worker_id, None)
            self.hub.publish(events.ItemFailed(*who, batch.start, text))
        if job.task is not None and job.task.style & ECHOED and reply.stdout:
            job.echo(1, reply.stdout.encode())
        job.deliver(batch, [reply.value if origin.plain else reply], origin)


def _reason(error: BaseException) -> str:
    """Return the name in `retry.on` of the way in which an item failed."""
    if isinstance(error, RequestTimeout):
        return "timeout"
    return "crash" if isinstance(error, WorkerDied) else "error"


def _lend_parts(job: Job, reply: Reply) -> None:
    """If an item has returned a generator, its reader gets that."""
    streamed = job.task is not None and job.task.style & STREAMED
    if streamed and isinstance(reply.value, GeneratorType):
        job.lend(reply.value)
        reply.value = None
