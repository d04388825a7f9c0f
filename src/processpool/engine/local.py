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
from typing import TYPE_CHECKING

from processpool import events
from processpool.engine.answers import Reader
from processpool.engine.ending import Undertaker
from processpool.engine.guard import Guard
from processpool.engine.loop import Loop
from processpool.engine.starting import Starter
from processpool.errors import PoolBroken, PoolClosed, QueueFull
from processpool.interrupts import uninterrupted
from processpool.scheduling.commands import (
    Command,
    Drop,
    DumpStacks,
    Grant,
    Kill,
    LeaseWaiter,
    Lost,
    Retry,
    Send,
    Stop,
    TakeBack,
    Terminate,
)
from processpool.scheduling.policy import Policy, resized
from processpool.scheduling.scheduler import TERM_GRACE, Scheduler
from processpool.snapshot import Failure
from processpool.states import PoolState, WorkerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.worker import Worker
    from processpool.errors import WorkerStartFailed
    from processpool.jobs import Batch, Job
    from processpool.mapping import MapRun

log = logging.getLogger("processpool")

WARM = 1.0
"""Seconds after which workers that are kept for calls go back to the scheduler, to be asked for
again: so they are retired when they are idle, like others."""

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
        self.last_failure: Failure | None = None
        self.start_error: WorkerStartFailed | OSError | None = None
        self.opened = False
        self.announces_failures = False
        """False while whoever opens the pool is told of a failed start by an exception."""
        self.closed = threading.Event()
        self.max_pending = max_pending
        self.maps: dict[int, MapRun] = {}
        """The maps in progress."""
        self.command = command
        self.warm: deque[Worker] = deque()
        """Workers that a call has done with, and the next one takes without a decision; to the
        scheduler they are leased. Taking and putting one is atomic, so that it needs no lock."""
        self.wants_idle = False
        """True if a call must not keep its worker for the next one."""
        self._reclaim_planned = False
        self.starter = Starter(self, launch)
        self.reader = Reader(self)
        self._undertaker = Undertaker(self)
        self._listeners: list[Callable[[events.Event], None]] = []
        self._watched: set[int] = set()
        self._forked = False

    # -- opening and closing ---------------------------------------------------------------------

    def open(self) -> None:
        """Start the thread and the first workers.

        Raises:
            OSError: the system has no descriptor or process left.
        """
        self.loop = Loop()
        try:
            self._guard = Guard()
        except OSError:
            self.loop.close()
            raise
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
        if self.begin_close(grace) and not self.is_current:
            try:
                self.closed.wait()
            except BaseException:  # interrupted: no more patience
                self._kill_all()
                self.closed.wait(TERM_GRACE)
                raise
            self._thread.join()

    def kill(self) -> None:
        """End everything at once, and wait for it."""
        if not self.opened or self._forked:
            return
        self._kill_all()
        self.close(0)

    @uninterrupted
    def _kill_all(self) -> None:
        with self.lock:
            commands = self.scheduler.kill_all()
        self.carry_out(commands)

    def abandon(self) -> None:
        """Nobody will use the pool again: finish what there is, then close. Takes no lock."""
        if self.opened and not self._forked:
            self.loop.post(partial(self.begin_close, None))

    @property
    def is_current(self) -> bool:
        """True on the engine's own thread, which must not wait for itself."""
        return threading.current_thread() is self._thread

    @property
    def unfinished(self) -> int:
        """Items that wait or run."""
        return self.scheduler.queued + self.scheduler.running

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
        while not self._submit_now(batch, limit=limit):
            if not wait:
                raise QueueFull(
                    f"the queue is full: {self.scheduler.queued} items wait, and "
                    f"queue.max_pending is {self.max_pending}; collect answers first, or let "
                    "it wait with queue.when_full: wait"
                )
            with self.changed:
                self.changed.wait_for(lambda: self._has_room or self.state_error() is not None)

    @property
    def _has_room(self) -> bool:
        return self.scheduler.queued < self.max_pending

    @uninterrupted
    def _submit_now(self, batch: Batch, *, limit: bool) -> bool:
        """Take items in; False if there is no room."""
        with self.lock:
            error = self.state_error()
            if error is not None:
                raise error
            if limit and not self._has_room:
                return False
            commands = self.scheduler.submit(batch, monotonic())
            self.enqueue(commands)
        self.carry_out(commands)
        if self.warm:
            self.reclaim()
        return True

    def borrow(self) -> Worker | None:
        """An idle worker for one call, if there is one; it must be put back, or discarded."""
        try:
            worker = self.warm.pop()
        except IndexError:
            return self._borrow_from_scheduler()
        if worker.is_quiet() or self._is_fit(worker):
            return worker
        return self.borrow()

    def _borrow_from_scheduler(self) -> Worker | None:
        if not self._reclaim_planned:
            self._reclaim_planned = True
            self.loop.post(partial(self.loop.later, WARM, self._reclaim_in_turn))
        while True:
            with self.lock:
                slot = self.scheduler.take(monotonic())
                if slot is None:
                    return None
                worker = self.workers[slot.id]
                worker.borrowed = True
            if self._is_fit(worker):
                return worker

    @uninterrupted
    def reclaim(self) -> None:
        """Give the workers that are kept for calls back to the scheduler."""
        while self.warm:
            with suppress(IndexError):
                worker = self.warm.pop()
                handled, worker.calls = worker.calls, 0
                self.give_back(worker, handled)

    def _reclaim_in_turn(self) -> None:
        self._reclaim_planned = False
        self.reclaim()

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
        try:
            can_grow = self._line_up(waiter)
            if timeout is not None and timeout <= 0 and can_grow:
                timeout = self.scheduler.policy.start  # one may be started: that is no waiting
            with self.changed:
                self.changed.wait_for(
                    lambda: waiter.granted is not None or waiter.pool_state is not None, timeout
                )
        except BaseException:
            if self._give_up(waiter) and waiter.granted is not None:
                self.discard(self.workers[waiter.granted], "lease interrupted")
            raise
        if waiter.pool_state is not None:
            raise self.state_error() or PoolClosed("the pool was closed")
        if waiter.granted is None and not self._give_up(waiter):
            return None
        assert waiter.granted is not None
        return self.workers[waiter.granted]

    @uninterrupted
    def _line_up(self, waiter: LeaseWaiter) -> bool:
        """Join the line for a worker; True if the pool may start another one."""
        with self.lock:
            error = self.state_error()
            if error is not None:
                raise error
            commands = self.scheduler.lease(waiter, monotonic())
            can_grow = self.scheduler.alive < self.scheduler.policy.max
            self.enqueue(commands)
        self.carry_out(commands)
        self.reclaim()
        return can_grow

    def _give_up(self, waiter: LeaseWaiter) -> bool:
        """Leave the line; True if a worker was granted in the last moment."""
        with self.lock:
            if self.scheduler.abandon(waiter):
                return False
        return True

    @uninterrupted
    def give_back(self, worker: Worker, handled: int) -> None:
        """A borrowed or leased worker is free again."""
        with self.lock:
            worker.borrowed = False
            commands = self.scheduler.release(worker.id, handled, monotonic())
            self.enqueue(commands)
            unheard, worker.unheard = worker.unheard, False
        self.carry_out(commands)
        if unheard:
            self.loop.post(partial(self.reader.on_stderr, worker))
        if worker.process.exitcode is not None:
            self._undertaker.bury_later(worker)

    @uninterrupted
    def discard(self, worker: Worker, fate: str, handled: int = 0) -> None:
        """A borrowed or leased worker cannot be used again: it is replaced."""
        with self.lock:
            worker.borrowed = False
            commands = self.scheduler.kill(worker.id, fate, handled)
        self.carry_out(commands)
        self._undertaker.bury_later(worker)

    def fate_of(self, worker: Worker) -> str | None:
        """Why the pool is ending this worker, if it is."""
        with self.lock:
            slot = self.scheduler.slots.get(worker.id)
            return None if slot is None else slot.fate

    @uninterrupted
    def cancel(self, job: Job, *, kill: bool) -> None:
        """Nothing more of the job starts; with `kill`, the workers that run it are replaced."""
        with self.changed:
            commands = self.scheduler.cancel(job, kill=kill)
            self.changed.notify_all()
        self.carry_out(commands)

    @uninterrupted
    def decide(self, decision: Callable[[float], list[Command]]) -> None:
        """Let the scheduler decide something, and carry it out."""
        with self.changed:
            commands = decision(monotonic())
            self.enqueue(commands)
            self.changed.notify_all()
        self.carry_out(commands)

    def drain(self, timeout: float | None) -> bool:
        """Wait until nothing waits or runs; False if that did not happen in time."""
        with self.changed:
            return self.changed.wait_for(lambda: not self.scheduler.has_work, timeout)

    # -- steering --------------------------------------------------------------------------------

    @uninterrupted
    def pause(self) -> None:
        """Hand out nothing until `resume`."""
        with self.lock:
            self.scheduler.pause()
            self.enqueue([])
        self.reclaim()
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
        self.reclaim()
        self.decide(lambda now: self.scheduler.resize(policy, now))
        self.emit(events.PoolResized(monotonic(), policy.min, policy.max, policy.spare))

    def restart(self, number: int, *, wait: bool) -> None:
        """Replace a worker."""
        self.reclaim()
        if number not in self.scheduler.slots:
            known = ", ".join(map(str, self.scheduler.slots)) or "none"
            raise ValueError(f"there is no worker {number}; there are: {known}")
        if wait:
            self.decide(lambda now: self.scheduler.retire(number, "restarted", now))
        else:
            self.decide(lambda _: self.scheduler.kill(number, "restarted"))

    def renew(self) -> None:
        """Replace every worker, each when it has done what it has."""
        self.reclaim()
        for number in list(self.scheduler.slots):
            self.decide(partial(self.scheduler.retire, number, "renewed"))

    @property
    def num_running(self) -> int:
        """Workers that have a request, or are leased."""
        counts = self.scheduler.counts
        return counts[WorkerState.BUSY] + counts[WorkerState.LEASED] - len(self.warm)

    @property
    def num_unassigned(self) -> int:
        """Workers that wait for a request, or are starting."""
        counts = self.scheduler.counts
        return counts[WorkerState.STARTING] + counts[WorkerState.IDLE] + len(self.warm)

    # -- telling ---------------------------------------------------------------------------------

    def listen(self, callback: Callable[[events.Event], None]) -> Callable[[], None]:
        """Call `callback` with every event from now on; the result ends that."""
        self._listeners = [*self._listeners, callback]

        def unsubscribe() -> None:
            self._listeners = [known for known in self._listeners if known is not callback]

        return unsubscribe

    @property
    def has_listeners(self) -> bool:
        """True if anybody wants to know of events."""
        return bool(self._listeners)

    def remember(self, error: BaseException, number: int, worker: Worker | None) -> None:
        """Keep an error for the displays, as the last one."""
        self.last_failure = Failure(
            monotonic(),
            f"{type(error).__name__}: {error}",
            number,
            None if worker is None else worker.pid,
            "" if worker is None else worker.stderr.tail,
        )

    def emit(self, event: events.Event) -> None:
        """Tell the listeners; a listener that raises harms nobody."""
        for callback in self._listeners:
            try:
                callback(event)
            except Exception:
                log.exception("an event callback raised")

    # -- carrying out ----------------------------------------------------------------------------

    def enqueue(self, commands: list[Command]) -> None:
        """Under the lock: put batches into outboxes in the order of the decisions."""
        self.wants_idle = self.scheduler.wants_idle
        for command in commands:
            if type(command) is Send:
                worker = self.workers[command.worker]
                worker.outbox.append(command.batch)
                if command.worker not in self._watched:
                    self._watch(worker)

    def carry_out(self, commands: list[Command]) -> None:
        """Do what was decided; without the lock."""
        for command in commands:
            match command:
                case Send(number):
                    self._flush(self.workers.get(number))
                case Drop(batch, state):
                    self._drop(batch, state)
                case Stop(number):
                    self._stop(self.workers.get(number))
                case DumpStacks(number):
                    self._dump_stacks(self.workers.get(number))
                case Terminate(number):
                    self._signal(number, signal.SIGTERM)
                case Kill(number):
                    self._signal(number, signal.SIGKILL)
                case TakeBack(number):
                    self._take_back(self.workers.get(number))
                case Grant():
                    with self.changed:
                        self.changed.notify_all()
        self._wake_if_needed()

    def _flush(self, worker: Worker | None) -> None:
        if worker is None:
            return
        with worker.io:
            if worker.closed or worker.flush():
                return
        with self.lock, suppress(OSError):
            if not worker.closed:
                handler = partial(self._on_writable, worker)
                self.loop.watch(worker.process.stdin, select.EPOLLOUT, handler)

    def _dump_stacks(self, worker: Worker | None) -> None:
        if worker is not None:
            worker.dump_stacks()

    def _take_back(self, worker: Worker | None) -> None:
        if worker is None:
            return
        with worker.io:
            batches = [] if worker.closed else worker.take_back()
        if batches:
            self.decide(lambda now: self.scheduler.taken_back(worker.id, batches, now))

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
            self.report_stray(worker, stray)
        self.discard(worker, "wrote unasked" if stray else "ended")
        return False

    def report_stray(self, worker: Worker, output: bytes) -> None:
        """A worker wrote to its stdout though it had no request: tell whoever wants to know."""
        log.warning(
            "worker %d (pid %d) wrote %r to its standard output without a request, and is "
            "replaced; standard output is for answers: write everything else to standard error",
            worker.id, worker.pid, output[:64],
        )  # fmt: skip
        self.emit(events.WorkerWroteUnasked(monotonic(), worker.id, worker.pid, output[:1024]))

    # -- what the engine thread watches ----------------------------------------------------------

    def adopt(self, worker: Worker) -> None:
        """A worker's process runs: watch over it."""
        self._guard.add(worker.pid)
        process, loop = worker.process, self.loop
        with self.lock:
            self.workers[worker.id] = worker
            exit_handler = partial(self._undertaker.on_exit, worker)
            loop.watch(process.pidfd, select.EPOLLIN | select.EPOLLONESHOT, exit_handler)
            stderr_handler = partial(self.reader.on_stderr, worker)
            loop.watch(process.stderr, select.EPOLLIN | select.EPOLLET, stderr_handler)

    def _watch(self, worker: Worker) -> None:
        self._watched.add(worker.id)
        handler = partial(self.reader.on_answer, worker)
        self.loop.watch(worker.process.stdout, select.EPOLLIN, handler)

    def unwatch(self, worker: Worker) -> None:
        """Under the lock: the worker is not busy any more, its stdout is nobody's business."""
        if worker.id in self._watched:
            self._watched.discard(worker.id)
            self.loop.forget(worker.process.stdout)

    def abandon_pipes(self, worker: Worker) -> None:
        """Under the lock: watch nothing of this worker any more."""
        self.unwatch(worker)
        process = worker.process
        for fd in (process.stdin, process.stderr, process.pidfd, worker.ready_fd):
            self.loop.forget(fd)

    def release_slot(self, worker: Worker, *, failed_start: bool, begun: bool) -> list[Lost | Retry]:
        """The worker is gone: let others have its place and what it had not begun."""
        with self.changed:
            commands = self.scheduler.exited(
                worker.id,
                monotonic(),
                failed_start=failed_start,
                begun=begun,
                singly=worker.died_loading(),
            )
            del self.workers[worker.id]
            self.enqueue(commands)
            self.changed.notify_all()
        self._guard.remove(worker.pid)
        self.carry_out(commands)
        return [command for command in commands if isinstance(command, Lost | Retry)]

    def _on_writable(self, worker: Worker) -> None:
        with worker.io:
            done = worker.closed or worker.flush()
        if done:
            with self.lock:
                self.loop.forget(worker.process.stdin)

    # -- the engine thread -----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_finished():
                self.starter.start_wanted()
                with self.lock:
                    self.loop.plan(self.scheduler.next_deadline)
                self.loop.turn()
                self._tick()
        except BaseException:
            log.exception("the engine of a pool failed: its workers are killed")
            raise
        finally:
            self._finish()

    def _tick(self) -> None:
        now = monotonic()
        with self.lock:
            due = self.scheduler.next_deadline
            if due is None or due > now:
                return
            commands = self.scheduler.tick(now)
            self.enqueue(commands)
        self.carry_out(commands)

    def _wake_if_needed(self) -> None:
        """Other threads: have the engine thread look again if it would sleep for too long."""
        if threading.current_thread() is self._thread:
            return
        with self.lock:
            due = self.scheduler.next_deadline
            if self.scheduler.state is PoolState.CLOSING:
                due = 0.0
            self.loop.wake_by(due)

    # -- the end ---------------------------------------------------------------------------------

    def begin_close(self, grace: float | None = None) -> bool:
        """Take nothing more; False if it is another process's, or was never opened."""
        if not self.opened or self._forked:
            return False
        deadline = None if grace is None else monotonic() + grace

        def close(now: float) -> list[Command]:
            ended = self.scheduler.state is PoolState.CLOSED
            return [] if ended else self.scheduler.close(deadline, now)

        self.decide(close)
        self.reclaim()
        self.loop.wake()
        return True

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
        self.loop.close()
        _live.discard(self)
        self.emit(events.PoolClosedDown(monotonic()))
        self.closed.set()

    def disown(self) -> None:
        """In a forked child: the pool is the parent's. Close this process's copies, quietly."""
        self._forked = True
        self.scheduler.state = PoolState.CLOSED
        self.warm.clear()
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self._listeners = []
        self._guard.disown()
        self.loop.close()
        for worker in self.workers.values():
            worker.process.close()


def _after_fork() -> None:
    for engine in list(_live):
        engine.disown()
    _live.clear()


os.register_at_fork(after_in_child=_after_fork)
