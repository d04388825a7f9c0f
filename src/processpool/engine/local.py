"""The engine that runs workers on this machine: one thread, one epoll, no polling.

    caller ──▶ scheduler (decides, under the lock) ──▶ commands (carried out, without it)
                   ▲                                        │ write
    engine thread ─┴── epoll: answers, stderr, deaths, timers ◀── worker processes

The lock guards the scheduler, `workers` and what the epoll watches; nothing slow happens under it.
Any thread may decide and write; only the engine thread reads answers of busy workers, starts
processes and closes descriptors. A worker's stdout is watched exactly while it is busy.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import weakref
from collections import deque
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool import events
from processpool.engine import failures
from processpool.engine.guard import Guard
from processpool.engine.readiness import Probe
from processpool.engine.worker import ALWAYS, LINGER, Worker
from processpool.errors import PoolBroken, PoolClosed, QueueFull, WorkerStartFailed
from processpool.jobs import Origin, Reply
from processpool.scheduler import (
    Command,
    Drop,
    Grant,
    Kill,
    LeaseWaiter,
    Lost,
    Policy,
    Scheduler,
    Send,
    Stop,
    Terminate,
    resized,
)
from processpool.states import PoolState, WorkerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.jobs import Batch, Job
    from processpool.mapping import MapRun

log = logging.getLogger("processpool")

SPAWNS_A_TURN = 4
"""Processes started between two looks at the answers."""
CLOSED_STDOUT_GRACE = 0.5
"""Seconds that a worker may live on after it has closed its stdout."""

_live: weakref.WeakSet[Engine] = weakref.WeakSet()


class Engine:
    """Runs, feeds and supervises the worker processes of one pool."""

    def __init__(
        self, policy: Policy, launch: Callable[[int], Worker], command: str, max_pending: int
    ) -> None:
        """`launch(number)` starts a worker process; `command` names it in errors."""
        self.lock = threading.Lock()
        self.scheduler = Scheduler(policy)
        self.workers: dict[int, Worker] = {}
        self.changed = threading.Condition(self.lock)
        """Notified when room, a worker, or an end has come."""
        self.last_error: str | None = None
        self.start_error: WorkerStartFailed | OSError | None = None
        self.opened = False
        self.closed = threading.Event()
        self.max_pending = max_pending
        self.maps: dict[int, MapRun] = {}
        """The maps in progress."""
        self._launch = launch
        self.command = command
        self._listeners: list[Callable[[events.Event], None]] = []
        self._sources: dict[int, Callable[[], None]] = {}
        self._watched: set[int] = set()
        self._probes: dict[int, tuple[Worker, Probe]] = {}
        self._held: dict[int, tuple[float, Worker, list[bytes], int]] = {}
        self._delayed: deque[tuple[float, Callable[[], None]]] = deque()
        self._again: list[Callable[[], None]] = []
        self._inbox: deque[Callable[[], None]] = deque()
        self._sleeps_until: float | None = 0.0
        self._forked = False

    # -- opening and closing ---------------------------------------------------------------------

    def open(self) -> None:
        """Start the thread and the first workers.

        Raises:
            OSError: the system has no descriptor or process left.
        """
        self._guard = Guard()
        self._epoll = select.epoll()
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._waker, select.EPOLLIN)
        self._sources[self._waker] = self._on_wake
        self._thread = threading.Thread(target=self._run, name="processpool-engine", daemon=True)
        self.opened = True
        _live.add(self)
        self._thread.start()

    def wait_ready(self, wanted: int, timeout: float | None) -> bool:
        """Wait until `wanted` workers have become ready; False if they did not in time.

        Raises:
            WorkerStartFailed: none is ready, and none is being started any more.
        """

        def settled() -> bool:
            counts = self.scheduler.counts
            starting = counts[WorkerState.STARTING]
            ready = self.scheduler.alive - starting
            broken = self.start_error is not None and not ready and not starting
            return ready >= wanted or broken or self.state_error() is not None

        with self.changed:
            done = self.changed.wait_for(settled, timeout)
            ready = self.scheduler.alive - self.scheduler.counts[WorkerState.STARTING]
            if done and ready < wanted:
                raise self.start_error or self.state_error() or PoolClosed("the pool was closed")
        return done

    def close(self, grace: float | None) -> None:
        """Finish what there is within `grace` seconds, end every worker, and wait for it."""
        if not self.opened or self._forked:
            return
        self._begin_close(grace)
        if threading.current_thread() is not self._thread:
            self.closed.wait()
            self._thread.join()

    def kill(self) -> None:
        """End everything at once, and wait for it."""
        if not self.opened or self._forked:
            return
        with self.lock:
            commands = self.scheduler.kill_all()
        self._carry_out(commands)
        self.close(0)

    def abandon(self) -> None:
        """Nobody will use the pool again: finish what there is, then close. Takes no lock."""
        if self.opened and not self._forked:
            self.post(partial(self._begin_close, None))

    @property
    def state(self) -> PoolState:
        """Where the pool is in its life."""
        return self.scheduler.state if self.opened else PoolState.NEW

    def state_error(self) -> Exception | None:
        """Why the pool takes no work now, if it does not."""
        if self._forked:
            return PoolClosed(
                "this pool belongs to the parent process; open a pool of its own after fork()"
            )
        match self.scheduler.state:
            case PoolState.BROKEN:
                error = PoolBroken(
                    "the pool is broken: workers failed to start more often than "
                    f"restart.max_failures allows; mend the cause, then pool.reset(). "
                    f"The last failure: {self.start_error}"
                )
                error.__cause__ = self.start_error
                return error
            case PoolState.CLOSING | PoolState.CLOSED:
                return PoolClosed(
                    "the pool is closed; open a new one: with ProcessPool.from_yaml(...) as pool"
                )
            case _:
                return None

    # -- work ------------------------------------------------------------------------------------

    def submit(self, batch: Batch, *, wait: bool = True, limit: bool = True) -> None:
        """Take items in, waiting for room in the queue, if `wait`.

        Raises:
            QueueFull: there is no room, and `wait` is False.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        with self.lock:
            while True:
                error = self.state_error()
                if error is not None:
                    raise error
                if not limit or self.scheduler.queued < self.max_pending:
                    break
                if not wait:
                    raise QueueFull(
                        f"the queue is full: {self.scheduler.queued} items wait, and "
                        f"queue.max_pending is {self.max_pending}; collect answers first, or let "
                        "it wait with queue.when_full: wait"
                    )
                self.changed.wait()
            commands = self.scheduler.submit(batch, monotonic())
            self._enqueue(commands)
        self._carry_out(commands)

    def borrow(self) -> Worker | None:
        """An idle worker for the calling thread, if there is one; it must be given back."""
        while True:
            with self.lock:
                slot = self.scheduler.take(monotonic())
                if slot is None:
                    return None
                worker = self.workers[slot.id]
            if self._is_fit(worker):
                return worker

    def lease(self, timeout: float | None) -> Worker | None:
        """A worker for the calling thread, waiting up to `timeout` seconds for one; None if none.

        Raises:
            PoolClosed, PoolBroken: the pool takes no work.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            worker = self._lease_once(None if deadline is None else deadline - monotonic())
            if worker is None or self._is_fit(worker):
                return worker

    def _lease_once(self, timeout: float | None) -> Worker | None:
        waiter = LeaseWaiter()
        with self.lock:
            error = self.state_error()
            if error is not None:
                raise error
            commands = self.scheduler.lease(waiter, monotonic())
            can_grow = self.scheduler.alive < self.scheduler.policy.max
        self._carry_out(commands)
        if timeout is not None and timeout <= 0 and can_grow:
            timeout = self.scheduler.policy.start  # a worker may be started: that is no waiting
        try:
            with self.changed:
                self.changed.wait_for(
                    lambda: waiter.granted is not None or waiter.pool_state is not None, timeout
                )
        except BaseException:
            self._give_up(waiter)
            raise
        if waiter.pool_state is not None:
            raise self.state_error() or PoolClosed("the pool was closed")
        if waiter.granted is None and not self._give_up(waiter):
            return None
        assert waiter.granted is not None
        return self.workers[waiter.granted]

    def _give_up(self, waiter: LeaseWaiter) -> bool:
        """Leave the line; True if a worker was granted in the last moment."""
        with self.lock:
            if self.scheduler.abandon(waiter):
                return False
        return True

    def give_back(self, worker: Worker, handled: int) -> None:
        """A borrowed or leased worker is free again."""
        with self.lock:
            commands = self.scheduler.release(worker.id, handled, monotonic())
            self._enqueue(commands)
        self._carry_out(commands)

    def discard(self, worker: Worker, fate: str, handled: int = 0) -> None:
        """A borrowed or leased worker cannot be used again: it is replaced."""
        with self.lock:
            commands = self.scheduler.kill(worker.id, fate, handled)
        self._carry_out(commands)
        self.post(partial(self._bury_if_dead, worker))

    def fate_of(self, worker: Worker) -> str | None:
        """Why the pool is ending this worker, if it is."""
        with self.lock:
            slot = self.scheduler.slots.get(worker.id)
            return None if slot is None else slot.fate

    def cancel(self, job: Job, *, kill: bool) -> None:
        """Nothing more of the job starts; with `kill`, the workers that run it are replaced."""
        with self.changed:
            commands = self.scheduler.cancel(job, kill=kill)
            self.changed.notify_all()
        self._carry_out(commands)

    def decide(self, decision: Callable[[float], list[Command]]) -> None:
        """Let the scheduler decide something, and carry it out."""
        with self.changed:
            commands = decision(monotonic())
            self._enqueue(commands)
            self.changed.notify_all()
        self._carry_out(commands)

    def drain(self, timeout: float | None) -> bool:
        """Wait until nothing waits or runs; False if that did not happen in time."""
        with self.changed:
            return self.changed.wait_for(lambda: not self.scheduler.has_work, timeout)

    # -- steering --------------------------------------------------------------------------------

    def pause(self) -> None:
        """Hand out nothing until `resume`."""
        with self.lock:
            self.scheduler.pause()
        self.emit(events.PoolPaused(monotonic()))

    def resume(self) -> None:
        """Hand out work again."""
        self.decide(self.scheduler.resume)
        self.emit(events.PoolResumed(monotonic()))

    def reset(self) -> None:
        """Try again to start workers."""
        self.start_error = None
        self.decide(self.scheduler.reset)

    def resize(self, least: int | None, most: int | None, spare: int | None) -> None:
        """Change the sizes; None leaves one as it is."""
        policy = resized(self.scheduler.policy, least, most, spare)
        self.decide(lambda now: self.scheduler.resize(policy, now))
        self.emit(events.PoolResized(monotonic(), policy.min, policy.max, policy.spare))

    def restart(self, number: int, *, wait: bool) -> None:
        """Replace a worker."""
        if number not in self.scheduler.slots:
            known = ", ".join(map(str, self.scheduler.slots)) or "none"
            raise ValueError(f"there is no worker {number}; there are: {known}")
        if wait:
            self.decide(lambda now: self.scheduler.retire(number, "restarted", now))
        else:
            self.decide(lambda _: self.scheduler.kill(number, "restarted"))

    @property
    def num_running(self) -> int:
        """Workers that have a request, or are leased."""
        counts = self.scheduler.counts
        return counts[WorkerState.BUSY] + counts[WorkerState.LEASED]

    @property
    def num_unassigned(self) -> int:
        """Workers that wait for a request, or are starting."""
        counts = self.scheduler.counts
        return counts[WorkerState.STARTING] + counts[WorkerState.IDLE]

    # -- telling ---------------------------------------------------------------------------------

    def listen(self, callback: Callable[[events.Event], None]) -> Callable[[], None]:
        """Call `callback` with every event from now on; the result ends that."""
        self._listeners = [*self._listeners, callback]

        def unsubscribe() -> None:
            self._listeners = [known for known in self._listeners if known is not callback]

        return unsubscribe

    def emit(self, event: events.Event) -> None:
        """Tell the listeners; a listener that raises harms nobody."""
        for callback in self._listeners:
            try:
                callback(event)
            except Exception:
                log.exception("an event callback raised")

    def post(self, action: Callable[[], None]) -> None:
        """Have the engine thread do something soon. Takes no lock: safe in a finaliser."""
        self._inbox.append(action)
        self._wake()

    # -- carrying out ----------------------------------------------------------------------------

    def _enqueue(self, commands: list[Command]) -> None:
        """Under the lock: put batches into outboxes in the order of the decisions."""
        for command in commands:
            if type(command) is Send:
                worker = self.workers[command.worker]
                worker.outbox.append(command.batch)
                if command.worker not in self._watched:
                    self._watch(worker)

    def _carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Send(number):
                    self._flush(self.workers.get(number))
                case Drop(batch, state):
                    self._drop(batch, state)
                case Stop(number):
                    self._stop(self.workers.get(number))
                case Terminate(number):
                    self._signal(number, signal.SIGTERM)
                case Kill(number):
                    self._signal(number, signal.SIGKILL)
                case Grant():
                    with self.changed:
                        self.changed.notify_all()
        self._wake_if_sooner()

    def _flush(self, worker: Worker | None) -> None:
        if worker is None:
            return
        with worker.io:
            if worker.closed or worker.flush():
                return
        with self.lock, suppress(OSError):
            if not worker.closed:
                self._sources[worker.process.stdin] = partial(self._on_writable, worker)
                self._epoll.register(worker.process.stdin, select.EPOLLOUT)

    def _drop(self, batch: Batch, state: PoolState) -> None:
        error = None if batch.job.cancelled else self.state_error()
        if error is None and state is PoolState.BROKEN:
            error = PoolBroken("the pool is broken")
        batch.job.drop(batch, error)

    def _stop(self, worker: Worker | None) -> None:
        if worker is not None:
            with worker.io:
                if not worker.closed:
                    worker.ask_to_exit()

    def _signal(self, number: int, signum: signal.Signals) -> None:
        worker = self.workers.get(number)
        if worker is not None:
            worker.process.signal_group(signum)

    def _is_fit(self, worker: Worker) -> bool:
        """False if a free worker wrote unasked or has ended; it is replaced then."""
        with worker.io:
            stray = worker.stray_output()
        if not stray and not worker.ended and worker.process.exitcode is None:
            return True
        if stray:
            self._report_stray(worker, stray)
        self.discard(worker, "wrote unasked" if stray else "ended")
        return False

    def _report_stray(self, worker: Worker, output: bytes) -> None:
        log.warning(
            "worker %d (pid %d) wrote %r to its standard output without a request, and is "
            "replaced; standard output is for answers: write everything else to standard error",
            worker.id, worker.pid, output[:64],
        )  # fmt: skip
        self.emit(events.WorkerWroteUnasked(monotonic(), worker.id, worker.pid, output[:1024]))

    # -- the engine thread -----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_finished():
                self._turn()
        except BaseException:
            log.exception("the engine of a pool failed: its workers are killed")
            raise
        finally:
            self._finish()

    def _turn(self) -> None:
        """Wait for the next thing to happen, and see to everything that has happened."""
        self._start_workers()
        for fd, _ in self._epoll.poll(self._sleep_time()):
            source = self._sources.get(fd)
            if source is not None:
                source()
        again, self._again = self._again, []
        for action in again:
            action()
        while self._inbox:
            self._inbox.popleft()()
        self._deliver_held()
        while self._delayed and self._delayed[0][0] <= monotonic():
            self._delayed.popleft()[1]()
        self._look_at_starting()
        self._tick()

    def _sleep_time(self) -> float | None:
        """Seconds until the next timer; None to sleep until something happens."""
        if self._again or self._inbox:
            return 0
        times = [probe.next_at for _, probe in self._probes.values()]
        if self._held:
            times.append(next(iter(self._held.values()))[0])
        if self._delayed:
            times.append(self._delayed[0][0])
        with self.lock:
            due = self.scheduler.next_deadline
            if due is not None:
                times.append(due)
            self._sleeps_until = min(times, default=None)
        return None if self._sleeps_until is None else max(self._sleeps_until - monotonic(), 0)

    def _wake_if_sooner(self) -> None:
        if threading.current_thread() is self._thread:
            return
        with self.lock:
            due = self.scheduler.next_deadline
            ending = self.scheduler.state is PoolState.CLOSING
            asleep = self._sleeps_until
        if ending or (due is not None and (asleep is None or due < asleep)):
            self._wake()

    def _wake(self) -> None:
        with suppress(OSError, BlockingIOError):
            os.eventfd_write(self._waker, 1)

    def _on_wake(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._waker)

    def _tick(self) -> None:
        now = monotonic()
        with self.lock:
            due = self.scheduler.next_deadline
            if due is None or due > now:
                return
            commands = self.scheduler.tick(now)
            self._enqueue(commands)
        self._carry_out(commands)

    # -- starting --------------------------------------------------------------------------------

    def _start_workers(self) -> None:
        for _ in range(SPAWNS_A_TURN):
            with self.lock:
                slot = self.scheduler.spawn(monotonic())
            if slot is None:
                return
            self._start(slot.id)

    def _start(self, number: int) -> None:
        try:
            worker = self._launch(number)
        except (OSError, WorkerStartFailed) as error:
            self._note_start_failure(number, error)
            with self.changed:
                commands = self.scheduler.exited(number, monotonic(), failed_start=True)
                self.changed.notify_all()
            self._carry_out(commands)
            return
        now = monotonic()
        self._guard.add(worker.pid)
        with self.lock:
            self.workers[number] = worker
            self._add(worker.process.pidfd, select.EPOLLONESHOT, self._on_exit, worker)
            self._add(worker.process.stderr, select.EPOLLET, self._on_stderr, worker)
        if worker.ready_fd >= 0:
            self._add(worker.ready_fd, 0, self._on_ready, worker)
        self._probes[number] = worker, Probe(worker.pid, now)
        self.emit(events.WorkerStarted(now, number, worker.pid))

    def _add(self, fd: int, flags: int, handler: Callable[[Worker], None], worker: Worker) -> None:
        self._sources[fd] = partial(handler, worker)
        self._epoll.register(fd, select.EPOLLIN | flags)

    def _on_ready(self, worker: Worker) -> None:
        told = os.read(worker.ready_fd, 16)
        self._forget(worker.ready_fd)
        os.close(worker.ready_fd)
        worker.ready_fd = -1
        if told:
            worker.lingers = 0
            self._ready(worker)

    def _look_at_starting(self) -> None:
        if not self._probes:
            return
        now = monotonic()
        for worker, probe in list(self._probes.values()):
            if probe.next_at <= now and probe.is_ready(now):
                self._ready(worker)

    def _ready(self, worker: Worker) -> None:
        if self._probes.pop(worker.id, None) is None:
            return
        with worker.io:
            stray = worker.stray_output()
        if stray:
            self._report_stray(worker, stray)
            self.decide(lambda _: self.scheduler.kill(worker.id, "wrote unasked"))
            return
        now = monotonic()
        with self.lock:
            started_at = self.scheduler.slots[worker.id].started_at
        self.decide(lambda now: self.scheduler.ready(worker.id, now))
        self.emit(events.WorkerBecameReady(now, worker.id, worker.pid, now - started_at))

    def _note_start_failure(self, number: int, error: WorkerStartFailed | OSError) -> None:
        self.start_error = error
        self.last_error = f"{type(error).__name__}: {error}"
        log.warning("worker %d did not start: %s", number, error)
        self.emit(events.WorkerFailedToStart(monotonic(), number, str(error)))

    # -- what workers say ------------------------------------------------------------------------

    def _watch(self, worker: Worker) -> None:
        self._watched.add(worker.id)
        self._add(worker.process.stdout, 0, self._on_answer, worker)

    def _unwatch(self, worker: Worker) -> None:
        if worker.id in self._watched:
            self._watched.discard(worker.id)
            self._forget(worker.process.stdout)

    def _forget(self, fd: int) -> None:
        if self._sources.pop(fd, None) is not None:
            with suppress(OSError):
                self._epoll.unregister(fd)

    def _on_writable(self, worker: Worker) -> None:
        with worker.io:
            done = worker.closed or worker.flush()
        if done:
            with self.lock:
                self._forget(worker.process.stdin)

    def _on_stderr(self, worker: Worker) -> None:
        with self.lock:
            slot = self.scheduler.slots.get(worker.id)
            state = None if slot is None else slot.state
        if state is WorkerState.LEASED:
            return  # it belongs to the thread that has the worker
        with worker.io:
            more = not worker.closed and worker.stderr.read()
            if state is WorkerState.IDLE and worker.stderr.take() and worker.lingers:
                worker.lingers = ALWAYS
        if more:
            self._again.append(partial(self._on_stderr, worker))

    def _on_answer(self, worker: Worker) -> None:
        with worker.io:
            if worker.closed:
                return
            answers = worker.receive()
            if worker.stderr.read():
                self._again.append(partial(self._on_stderr, worker))
        if answers and worker.lingers and self.scheduler.policy.window == 1:
            due = monotonic() + LINGER
            self._held[worker.id] = due, worker, answers, worker.stderr.received
        elif answers:
            self._complete(worker, answers)
        if worker.fault() is not None:
            self.decide(lambda _: self.scheduler.kill(worker.id, "protocol"))
        elif worker.ended:
            with self.lock:
                self._unwatch(worker)
            due = monotonic() + CLOSED_STDOUT_GRACE
            self._delayed.append((due, partial(self._end_mute, worker)))

    def _end_mute(self, worker: Worker) -> None:
        """It closed its stdout and did not exit: it can never answer again."""
        if not worker.closed:
            self.decide(lambda _: self.scheduler.kill(worker.id, "closed stdout"))

    def _deliver_held(self) -> None:
        """Hand over answers for which late stderr was awaited long enough."""
        now = monotonic()
        for number, (due, worker, _, before) in list(self._held.items()):
            if due > now and worker.stderr.received == before:
                break
            self._release_held(number)

    def _release_held(self, number: int) -> None:
        _, worker, answers, before = self._held.pop(number)
        with worker.io:
            worker.stderr.read()
        worker.lingered(late=worker.stderr.received > before)
        self._complete(worker, answers)

    def _complete(self, worker: Worker, answers: list[bytes]) -> None:
        """Answers have come: see who gets them, let the worker go on, and hand them over."""
        values, plain = worker.decode(answers)
        failed = 0 if plain else sum(type(v) is Reply and v.error is not None for v in values)
        now = monotonic()
        with self.changed:
            slot = self.scheduler.slots[worker.id]
            since = slot.since
            done, commands = self.scheduler.answered(worker.id, len(values), now, failed)
            if not slot.load:
                self._unwatch(worker)
            self._enqueue(commands)
            self.changed.notify_all()
        origin = Origin(worker.id, worker.pid, since, now, worker.stderr.take(), plain)
        self._carry_out(commands)
        begin = 0
        for batch in done:
            end = begin + len(batch)
            batch.job.deliver(batch, values[begin:end], origin)
            begin = end
        if begin < len(values):
            self._report_stray(worker, answers[begin])
            self.decide(lambda _: self.scheduler.kill(worker.id, "wrote unasked"))

    # -- the end of a worker ---------------------------------------------------------------------

    def _on_exit(self, worker: Worker) -> None:
        worker.process.reap()
        with self.lock:
            leased = self.scheduler.slots[worker.id].state is WorkerState.LEASED
            self._forget(worker.process.pidfd)
        if not leased:  # otherwise the thread that has it will see, and discard it
            self._bury(worker)

    def _bury_if_dead(self, worker: Worker) -> None:
        if worker.process.exitcode is not None and worker.id in self.workers:
            self._bury(worker)

    def _bury(self, worker: Worker) -> None:
        """A worker has ended: take its last answers, see what that means for its items, tidy up."""
        with worker.io:
            answers = worker.drain()
            untouched = worker.untouched()
        if worker.id in self._held:
            self._release_held(worker.id)
        if answers and self.scheduler.slots[worker.id].load:
            self._complete(worker, answers)
        exitcode = worker.process.reap()
        self._probes.pop(worker.id, None)
        with self.lock:
            slot = self.scheduler.slots[worker.id]
            unstarted = slot.state is WorkerState.STARTING or slot.fate in _START_FATES
            fruitless = slot.fate is None and exitcode >= 0 and not slot.handled
            failed_start = unstarted or (fruitless and (untouched or not slot.load))
            for fd in (worker.process.stdin, worker.process.stderr, worker.process.pidfd):
                self._forget(fd)
            self._unwatch(worker)
        if failed_start:
            limit = self.scheduler.policy.start or 0.0
            error = failures.start_failed(worker, slot.fate, self.command, limit)
            self._note_start_failure(worker.id, error)
        now = monotonic()
        with self.changed:
            commands = self.scheduler.exited(
                worker.id, now, failed_start=failed_start, begun=not untouched
            )
            del self.workers[worker.id]
            self._enqueue(commands)
            self.changed.notify_all()
        self._carry_out(commands)
        for command in commands:
            if type(command) is Lost:
                self._lose(worker, command, now)
        self._guard.remove(worker.pid)
        stderr = worker.stderr.tail
        with worker.io:
            worker.close()
        self.emit(
            events.WorkerExited(now, worker.id, worker.pid, exitcode, slot.fate, stderr)
        )

    def _lose(self, worker: Worker, lost: Lost, now: float) -> None:
        since = lost.batch.sent_at
        error = failures.lost_item(worker, lost.fate, self.command, now - since)
        self.last_error = f"{type(error).__name__}: {error}"
        partial_answer = worker.framing.partial
        reply = Reply(error=error, raw=partial_answer or None)
        origin = Origin(worker.id, worker.pid, since, now, worker.stderr.take(), plain=False)
        lost.batch.job.deliver(lost.batch, [reply], origin)
        self.emit(
            events.ItemFailed(now, worker.id, worker.pid, lost.batch.start, self.last_error)
        )

    # -- the end ---------------------------------------------------------------------------------

    def _begin_close(self, grace: float | None) -> None:
        now = monotonic()
        deadline = None if grace is None else now + grace
        self.decide(lambda now: self.scheduler.close(deadline, now))
        self._wake()

    def _is_finished(self) -> bool:
        return self.scheduler.state is PoolState.CLOSING and not self.scheduler.slots

    def _finish(self) -> None:
        """Leave nothing behind: no process, no descriptor, no waiting thread."""
        for worker in list(self.workers.values()):
            worker.process.signal_group(signal.SIGKILL)
        with self.changed:
            commands = self.scheduler.kill_all()
            self.scheduler.state = PoolState.CLOSED
            self.changed.notify_all()
        for command in commands:
            if type(command) is Drop:
                self._drop(command.batch, PoolState.CLOSED)
        self._guard.close()
        self._epoll.close()
        os.close(self._waker)
        self._waker = -1
        _live.discard(self)
        self.emit(events.PoolClosedDown(monotonic()))
        self.closed.set()

    def disown(self) -> None:
        """In a forked child: the pool is the parent's. Close this process's copies, quietly."""
        self._forked = True
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self._listeners = []
        self._guard.disown()
        self._epoll.close()
        for worker in self.workers.values():
            worker.process.close()


_START_FATES = ("start timeout",)


def _after_fork() -> None:
    for engine in list(_live):
        engine.disown()
    _live.clear()


os.register_at_fork(after_in_child=_after_fork)
