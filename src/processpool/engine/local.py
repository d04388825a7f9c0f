"""The engine that runs workers on this machine: one epoll, driven by whoever waits.

    caller ──▶ scheduler (decides, under the lock) ──▶ commands (carried out, without it)
                   ▲                                        │ write
        leader ────┴── epoll: answers, stderr, deaths, timers ◀── worker processes

The lock guards the scheduler, `workers` and what the epoll watches; nothing slow happens under it.
Any thread may decide and write; only the thread that leads reads answers of busy workers and
closes descriptors. The keeper, a thread of the engine's own, starts all processes, since Linux ends
a child with the *thread* that has started it; and it leads when nobody waits.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import signal
import sys
import threading
import weakref
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from processpool.api.map_job import Maps
from processpool.core import events
from processpool.core.commands import (
    Command,
    Drop,
    Lost,
    Retry,
)
from processpool.core.exit_reason import ExitReason
from processpool.core.exits import TERM_GRACE
from processpool.core.policy import Policy, resized
from processpool.core.scheduler import Scheduler
from processpool.core.states import PoolEvent, PoolState, WorkerState
from processpool.engine.callback_threads import CallbackThreads
from processpool.engine.checkout import Lending
from processpool.engine.dispatcher import Hands
from processpool.engine.event_hub import News
from processpool.engine.lead import Lead
from processpool.engine.lock import EngineLock
from processpool.engine.reaper import Undertaker
from processpool.engine.receiver import Reader
from processpool.engine.spawner import Starter
from processpool.errors import PoolBroken, PoolClosed, ProcessPoolError, QueueFull
from processpool.system.epoll_loop import Loop
from processpool.system.guard import Guard
from processpool.system.interrupts import SHIELD, uninterrupted
from processpool.system.monitor import must_not_wait, sleep_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.core.jobs import Batch, Job
    from processpool.engine.workers.worker import Worker
    from processpool.errors import WorkerStartFailed
    from processpool.system.monitor import Bell

log = logging.getLogger("processpool")

_OF_THE_PARENT = "this pool belongs to the parent process; open a pool of its own after fork()"

LENT_GRACE = 0.2
"""Seconds for threads to see that the worker that they have for a call is gone."""

_live: weakref.WeakSet[Engine] = weakref.WeakSet()


class Engine:
    """Runs, feeds and supervises the worker processes of one pool."""

    def __init__(
        self,
        policy: Policy,
        launch: Callable[[int, str], Worker],
        command: str,
        max_pending: int,
        name: str,
    ) -> None:
        """`launch(number, mark)` starts a worker process; `command` and `name` are for errors."""
        self.lock = EngineLock(self.wait, self._room)
        """Notified when room, a worker, or an end has come."""
        self.scheduler = Scheduler(policy)
        self.workers: dict[int, Worker] = {}
        self.start_error: WorkerStartFailed | OSError | None = None
        self.forgiven = 0.0
        """When the failed starts up to then were forgiven."""
        self.opened = False
        self._breaks_told = 0
        self.announces_failures = False
        """False while whoever opens the pool is told of a failed start by an exception."""
        self.closed = False
        """True once nothing of it is left."""
        self.max_pending = max_pending
        self.maps = Maps()
        """The maps in progress."""
        self.command = command
        self.name = name
        self.callbacks = CallbackThreads()
        self.news = News(self)
        self.hands = Hands(self)
        self.lending = Lending(self)
        self.starter = Starter(self, launch)
        self.reader = Reader(self)
        self.undertaker = Undertaker(self)
        self._has_failed = False
        """True once a turn has raised, which none should."""

    # -- opening and closing ---------------------------------------------------------------------

    @uninterrupted
    def open(self) -> None:
        """Start the thread and the first workers.

        Raises:
            OSError: the system has no descriptor, process or thread left.
        """
        with ExitStack() as undo:
            self.loop = self.callbacks.loop = Loop()
            undo.callback(self.loop.close)
            self.lead = Lead(self.loop, self._turn, lambda: self.scheduler.queued > 0)
            undo.callback(self.lead.close)
            self._guard = self.starter.guard = Guard()
            undo.callback(self._guard.close)
            self._thread = threading.Thread(
                target=self._run, name="processpool-engine", daemon=True
            )
            self.opened = True
            self.scheduler.change(PoolEvent.OPENING)
            _live.add(self)
            try:
                self._thread.start()
            except RuntimeError as error:
                self.opened = False
                self.scheduler.change(PoolEvent.LEFT_UNOPENED)
                _live.discard(self)
                raise OSError(errno.EAGAIN, "no thread is left") from error
            undo.pop_all()

    def wait_ready(self, wanted: int, timeout: float | None) -> bool:
        """Wait until `wanted` workers have become ready; False if they did not in time.

        Raises:
            WorkerStartFailed: none is ready, and none is being started any more.
        """

        def settled() -> bool:
            starting = self.scheduler.counts[WorkerState.STARTING]
            ready = self.scheduler.alive - starting
            if ready >= wanted:
                return True
            error = self.state_error()
            if error is None and not ready and not starting:
                error = self.start_error
            if error is not None:
                raise self.start_error or error
            return False

        return self.lock.wait_for(settled, timeout)

    @uninterrupted
    def close(self, grace: float | None) -> None:
        """Finish what there is within `grace` seconds, end every worker, and wait for it."""
        if self.postpones(partial(self.begin_close, grace)):
            return
        if self.begin_close(grace) and not self.is_current:
            try:
                self.lock.wait_for(lambda: self.closed or self._only_lent_are_left)
            except BaseException:  # interrupted: no more patience
                self._kill_all()
                self.lock.wait_for(lambda: self.closed, TERM_GRACE)
                raise
            if self.lock.wait_for(lambda: self.closed, LENT_GRACE):
                self._thread.join()
                self.callbacks.join()

    @property
    def _only_lent_are_left(self) -> bool:
        """True if no process is left, but threads that had one for a call have not seen it yet.

        One of them may be this thread, in a signal's handler: it is not to wait for itself.
        """
        scheduler = self.scheduler
        lent = {n for n, w in self.workers.items() if w.borrowed and w.process.exitcode is not None}
        ending = scheduler.state is PoolState.CLOSING and not scheduler.has_work
        return ending and bool(lent) and lent >= scheduler.slots.keys()

    @uninterrupted
    def kill(self) -> None:
        """End everything at once, and wait for it."""
        if not self.opened or self._forked:
            return
        if self.postpones(self.kill):
            return
        self._kill_all()
        self.close(0)

    def _kill_all(self) -> None:
        with self.lock:
            commands = self.scheduler.kill_all()
        self.hands.carry_out(commands)

    def postpones(self, action: Callable[[], object]) -> bool:
        """If it came in between a decision on this thread, have it done a little later.

        Returns:
            True if that is so: then nothing is to be done now.
        """
        if self.lock.is_mine:
            self.loop.post(action)
            return True
        return False

    def abandon(self) -> None:
        """Nobody will use the pool again: finish what there is, then close. Takes no lock."""
        if self.opened and not self._forked:
            self.loop.post(partial(self.begin_close, None))

    @property
    def is_current(self) -> bool:
        """True on a thread that others wait for: the one that leads, and the keeper."""
        return self.lead.is_mine or threading.current_thread() is self._thread

    def attend(self) -> None:
        """Somebody wants to be called, and does not wait: what happens is seen to at once."""
        if self.opened and not self._forked:
            self.lead.attend()

    def wait(self, bell: Bell, deadline: float | None) -> bool:
        """Wait until a bell has rung, or that time has come; and lead meanwhile."""
        if not self.opened or self._forked:
            return sleep_until(bell, deadline)
        return self.lead.wait(bell, deadline)

    @property
    def _forked(self) -> bool:
        """True if this is a fork of the process that has opened the pool."""
        return self.scheduler.state is PoolState.FORKED

    @property
    def unfinished(self) -> int:
        """Items that wait or run."""
        return self.scheduler.queued + self.scheduler.running

    @property
    def state(self) -> PoolState:
        """Where the pool is in its life."""
        return self.scheduler.state

    def require_own_process(self) -> None:
        """See that this is no fork of the process that has opened the pool.

        Raises:
            PoolClosed: it is.
        """
        if self._forked:
            raise PoolClosed(_OF_THE_PARENT)

    def state_error(self) -> Exception | None:
        """Why the pool takes no work now, if it does not."""
        if self._forked:
            return PoolClosed(_OF_THE_PARENT)
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

        What comes in between something else on the same thread, from a signal's handler or a
        finaliser, is taken in a little later.

        Raises:
            QueueFull: there is no room, and `wait` is False.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        if self.lock.is_mine or (limit and SHIELD.is_up):
            self.loop.post(partial(self._submit_later, batch))
            return
        while not self._submit_now(batch, limit=limit):
            if not wait:
                raise QueueFull(
                    f"the queue of pool {self.name!r} is full: {self.scheduler.queued} items wait, "
                    f"and queue.max_pending is {self.max_pending}; collect answers first, or let "
                    "it wait with queue.when_full: wait"
                )
            self.lock.wait_for(lambda: self._has_room or self.state_error() is not None)

    @property
    def _has_room(self) -> bool:
        return self.scheduler.queued < self.max_pending

    def _room(self) -> int:
        """Items that the queue has room for; any number, once there is no use in waiting."""
        if self.state_error() is not None:
            return sys.maxsize
        return max(self.max_pending - self.scheduler.queued, 0)

    @uninterrupted
    def _submit_now(self, batch: Batch, *, limit: bool) -> bool:
        """Take items in; False if there is no room."""
        worker = None
        with self.lock:
            scheduler = self.scheduler
            if scheduler.state is not PoolState.OPEN:
                error = self.state_error()
                if error is not None:
                    raise error
            now = monotonic()
            slot = scheduler.begin(batch, now) if len(batch) == 1 else None
            if slot is not None:
                worker = self.workers[slot.id]
                self.hands.watch(worker)
                self.hands.plan_timer()
            else:
                if limit and not self._has_room:
                    return False
                commands = scheduler.submit(batch, now)
                self.hands.enqueue(commands)
        if worker is not None:
            self.hands.send_single(worker, batch)
        else:
            self.hands.carry_out(commands)
            if self.lending.warm or self.lending.lost:
                self.lending.reclaim()
        return True

    def _submit_later(self, batch: Batch) -> None:
        """Take in what came in between."""
        try:
            self._submit_now(batch, limit=False)
        except ProcessPoolError as error:
            batch.job.drop(batch, error)

    @uninterrupted
    def cancel(self, job: Job, *, kill: bool) -> None:
        """Nothing more of the job starts; with `kill`, the workers that run it are replaced."""
        if self.postpones(partial(self.cancel, job, kill=kill)):
            return
        with self.lock:
            commands = self.scheduler.cancel(job, kill=kill)
            self.lock.notify_all()
        self.hands.carry_out(commands)

    @uninterrupted
    def recall(self, job: Job) -> bool:
        """Keep the one item of a job from being begun, wherever it is by now.

        Returns:
            False if the worker has begun it, or cannot give it back; True if it will never start.
        """
        if self.lock.is_mine:
            return False
        with self.lock:
            if not job.begun or self.scheduler.keeps(job):
                job.recalled = True
                commands = self.scheduler.cancel(job, kill=False)
                self.lock.notify_all()
                number = None
            else:
                commands = []
                number = self.scheduler.holder(job)
        self.hands.carry_out(commands)
        return job.recalled or (number is not None and self.hands.take_back(number, job))

    @uninterrupted
    def decide(self, decision: Callable[[float], list[Command]]) -> None:
        """Let the scheduler decide something, and carry it out."""
        if self.postpones(partial(self.decide, decision)):
            return
        with self.lock:
            commands = decision(monotonic())
            self.hands.enqueue(commands)
            self.lock.notify_all()
        self.hands.carry_out(commands)

    def drain(self, timeout: float | None) -> bool:
        """Wait until nothing waits or runs; False if that did not happen in time."""
        return self.lock.wait_for(
            lambda: self._forked or self.closed or not self.scheduler.has_work, timeout
        )

    # -- steering --------------------------------------------------------------------------------

    def pause(self) -> None:
        """Hand out nothing until `resume`."""
        self.decide(lambda _: self.scheduler.pause())
        self.lending.reclaim()
        self.news.emit(events.PoolPaused(monotonic()))

    def resume(self) -> None:
        """Hand out work again."""
        self.decide(self.scheduler.resume)
        self.news.emit(events.PoolResumed(monotonic()))

    def reset(self) -> None:
        """Try again to start workers."""
        self.start_error = None
        self.forgiven = monotonic()
        self.decide(self.scheduler.reset)

    def resize(self, least: int | None, most: int | None, spare: int | None) -> None:
        """Change the sizes; None leaves one as it is."""
        policy = resized(self.scheduler.policy, least, most, spare)
        self.lending.reclaim()
        self.decide(lambda now: self.scheduler.resize(policy, now))
        self.news.emit(events.PoolResized(monotonic(), policy.min, policy.max, policy.spare))

    def restart(self, number: int, *, wait: bool) -> None:
        """Replace a worker."""
        self.lending.reclaim()
        if number not in self.scheduler.slots:
            known = ", ".join(map(str, self.scheduler.slots)) or "none"
            raise ValueError(f"there is no worker {number}; there are: {known}")
        if wait:
            self.decide(lambda now: self.scheduler.retire(number, ExitReason.RESTARTED, now))
        else:
            self.decide(lambda _: self.scheduler.kill(number, ExitReason.RESTARTED))

    def renew(self) -> None:
        """Replace every worker, each when it has done what it has."""
        self.lending.reclaim()
        for number in list(self.scheduler.slots):
            self.decide(partial(self.scheduler.retire, number, ExitReason.RENEWED))

    @property
    def num_running(self) -> int:
        """Workers that have a request, or are leased."""
        counts = self.scheduler.counts
        return counts[WorkerState.BUSY] + counts[WorkerState.LEASED] - len(self.lending.warm)

    @property
    def num_starting(self) -> int:
        """Workers that are not ready yet, those included that are about to be started."""
        with self.lock:
            return self.scheduler.starting

    @property
    def num_unassigned(self) -> int:
        """Workers that wait for a request, or are starting."""
        counts = self.scheduler.counts
        return counts[WorkerState.STARTING] + counts[WorkerState.IDLE] + len(self.lending.warm)

    # -- what the engine thread watches ----------------------------------------------------------

    def adopt(self, worker: Worker) -> None:
        """A worker's process runs: watch over it."""
        self._guard.add(worker.pid)
        process, loop = worker.process, self.loop
        with self.lock:
            self.workers[worker.id] = worker
            worker.run_user_code = self.news.run
            exit_handler = partial(self.undertaker.on_exit, worker)
            loop.watch(process.pidfd, select.EPOLLIN | select.EPOLLONESHOT, exit_handler)
            stderr_handler = partial(self.reader.on_stderr, worker)
            loop.watch(process.stderr, select.EPOLLIN | select.EPOLLET, stderr_handler)
            unwanted = self.scheduler.slots[worker.id].state is not WorkerState.STARTING
        if unwanted:  # it was to be ended while there was no process yet to be told
            process.signal_group(signal.SIGKILL)

    def release_slot(
        self, worker: Worker, *, failed_start: bool, killed: bool, begun: bool
    ) -> list[Lost | Retry]:
        """The worker is gone: let others have its place and what it had not begun."""
        with self.lock:
            commands = self.scheduler.exited(
                worker.id,
                monotonic(),
                failed_start=failed_start,
                killed=killed,
                begun=begun,
                singly=worker.died_loading(),
            )
            del self.workers[worker.id]
            self.hands.enqueue(commands)
            self.lock.notify_all()
        self._guard.remove(worker.pid)
        self.tell_if_broken()
        self.hands.carry_out(commands)
        return [command for command in commands if isinstance(command, Lost | Retry)]

    def tell_if_broken(self) -> None:
        """Emit that the pool broke, once each time."""
        with self.lock:
            broke = self.scheduler.breaks > self._breaks_told
            self._breaks_told = self.scheduler.breaks
        if broke:
            self.news.emit(events.PoolBroke(monotonic(), str(self.start_error)))

    # -- turns -----------------------------------------------------------------------------------

    def _run(self) -> None:
        """What the keeper does: start workers, and lead when nobody else does."""
        must_not_wait.add(threading.get_ident())
        try:
            self.decide(self.scheduler.opened)
            while True:
                with self.lock:
                    if self._is_finished():
                        return
                    start_at = self.scheduler.next_start
                if start_at is not None and start_at <= monotonic():
                    self.starter.start_wanted()
                    start_at = 0.0
                self.lead.keep(start_at)
        except BaseException:
            log.exception("the engine of a pool failed: its workers are killed")
            raise
        finally:
            self._finish()
            must_not_wait.discard(threading.get_ident())

    def _turn(self, until: float | None) -> None:
        """With the lead: sleep until something happens, that time at most, and see to it."""
        try:
            due = self.loop.planned
            if due is not None and due <= monotonic():
                self._tick()
            self.loop.turn(until)
        except BaseException:
            if threading.current_thread() is self._thread:
                raise
            log.exception("the engine of a pool failed: its workers are killed")
            self._has_failed = True
            self.lead.wake_keeper()

    def _tick(self) -> None:
        with self.lock:
            commands = self.scheduler.tick(monotonic())
            self.hands.enqueue(commands)
        self.hands.carry_out(commands)

    def unshare(self, name: str) -> None:
        """Have every worker let go of something shared. Takes no lock."""
        if self.opened and not self._forked:
            self.loop.post(partial(self.hands.unshare, name))

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
        self.lending.reclaim()
        self.loop.wake()
        return True

    def _is_finished(self) -> bool:
        scheduler = self.scheduler
        closing = scheduler.state is PoolState.CLOSING
        return self._has_failed or (closing and not scheduler.slots and not scheduler.has_work)

    def _finish(self) -> None:
        """Leave nothing behind: no process, no descriptor, no waiting thread."""
        self.lead.end()
        for worker in [*self.workers.values(), *self.starter.launched]:
            worker.process.signal_group(signal.SIGKILL)
        with self.lock:
            commands = self.scheduler.kill_all()
            self.scheduler.change(PoolEvent.CLOSED)
            self.lock.notify_all()
        for command in commands:
            if type(command) is Drop:
                self.hands.drop(command.batch, PoolState.CLOSED)
        for slot in self.scheduler.slots.values():  # there are none, unless this thread failed
            for batch in slot.inflight:
                self.hands.drop(batch, PoolState.CLOSED)
        self._guard.close()
        self.lead.close()
        self.loop.close()
        _live.discard(self)
        self.news.emit(events.PoolClosedDown(monotonic()))
        self.callbacks.finish()
        with self.lock:
            self.closed = True
            self.lock.notify_all()

    def disown(self) -> None:
        """In a forked child: the pool is the parent's. Close this process's copies, quietly."""
        self.scheduler.change(PoolEvent.FORKED)
        self.lending.warm.clear()
        self.lock = EngineLock(sleep_until, self._room)
        self.news.forget()
        self._guard.disown()
        self.lead.close()
        self.loop.close()
        for worker in self.workers.values():
            worker.process.close()


def _after_fork() -> None:
    for engine in list(_live):
        engine.disown()
    _live.clear()


os.register_at_fork(after_in_child=_after_fork)
