"""Executes what was decided about workers, and watches their descriptors.

`stage` runs under the lock, so that batches are written in the order of the decisions; everything
else runs without it, on whatever thread has decided.
"""

from __future__ import annotations

import select
import signal
from _thread import get_ident
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core.commands import (
    Command,
    Drop,
    DumpStacks,
    Grant,
    Kill,
    Send,
    Stop,
    TakeBack,
    Terminate,
)
from processpool.core.exit_reason import ExitReason
from processpool.core.states import PoolState, WorkerState
from processpool.engine.closed_pipes import see_to_stdin
from processpool.engine.hangs import Hangs
from processpool.engine.last_words import note_silence, say_last_words
from processpool.errors import PoolBroken
from processpool.system.interrupts import SHIELD
from processpool.system.monitor import must_not_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from processpool.core.jobs import Batch, Job
    from processpool.engine.core import Core
    from processpool.engine.event_hub import EventHub
    from processpool.engine.workers.worker import Worker


SLOW_PICKLING = 0.02
"""Seconds from which on it does not count as an item's time that its arguments are pickled."""


class Dispatcher:
    """Executes the decisions about the workers of one engine."""

    on_answer: Callable[[Worker], None]
    """What is called when a worker has written something; the receiver's."""
    watch_over: Callable[[Worker], None]
    """What is called when a worker has got several items; the receiver's."""

    def __init__(self, core: Core, hub: EventHub) -> None:
        self._core = core
        self._hub = hub
        core.stage, core.execute = self.stage, self.execute
        self._watched: set[int] = set()
        self.hangs = Hangs(core, hub)

    def stage(self, commands: Sequence[Command]) -> None:
        """Under the lock: put batches into outboxes in the order of the decisions."""
        self._core.wants_idle = self._core.scheduler.wants_idle
        for command in commands:
            if type(command) is Grant:
                worker = self._core.workers[command.worker]
                worker.leased = True
                self.unwatch(worker)
            elif type(command) is Send:
                worker = self._core.workers[command.worker]
                command.batch.unsent = True
                worker.outbox.append(command.batch)
                command.batch.job.begin()
                if worker.keeps_answers and len(command.batch) > 1 and not worker.watched_over:
                    worker.watched_over = True
                    self._core.loop.post(partial(self.watch_over, worker))
                self.watch(worker)

    def execute(self, commands: Sequence[Command]) -> None:
        """Do what was decided; without the lock."""
        for command in commands:
            match command:
                case Send(number):
                    self.flush(self._core.workers.get(number))
                case Drop(batch, state):
                    self.drop(batch, state)
                case Stop(number):
                    self._stop(self._core.workers.get(number))
                case DumpStacks(number):
                    say_last_words(self._core.workers.get(number))
                case Terminate(number):
                    self._signal(number, signal.SIGTERM)
                case Kill(number):
                    note_silence(self._core, number)
                    self._signal(number, signal.SIGKILL)
                case TakeBack(number, read):
                    self.recall(number, read=read)
                case Grant():
                    with self._core.lock:
                        self._core.lock.notify_all()
        self.plan()

    def flush(self, worker: Worker | None) -> None:
        """Write what was decided to be sent; code of the user's may run, where it is pickled."""
        if worker is None:
            return
        core = self._core
        if worker.io.is_mine:  # an argument uses the pool while it is pickled
            core.loop.post(partial(self.write, worker))
            return
        began = monotonic()
        with worker.io:
            if worker.borrowed or worker.held:
                return
            first = worker.outbox[0] if worker.outbox else None
            stray = worker.stray_output() if worker.unasked else b""
            worker.unasked = False
            done = not stray and (worker.closed or self._write(worker))
            if done:
                worker.end_input()
                see_to_stdin(self._core, worker)
        if stray:
            self._hub.report_stray(worker, stray)
            core.decide(lambda _: core.scheduler.kill(worker.id, ExitReason.WROTE_UNASKED))
        elif not done:
            with core.lock, suppress(OSError):
                if not worker.closed:
                    handler = partial(self._on_writable, worker)
                    core.loop.watch(worker.process.stdin, select.EPOLLOUT, handler)
        if first is not None and monotonic() - began > SLOW_PICKLING:
            core.decide(partial(core.scheduler.sent, worker.id, first))

    def send_single(self, worker: Worker, batch: Batch) -> None:
        """Write one item to a worker that has nothing else to do; see `Scheduler.begin`."""
        done = usual = False
        with worker.io:
            outbox = worker.outbox
            if len(outbox) == 1 and outbox[0] is batch and worker.sends_at_once(batch):
                usual = not (worker.held or worker.closed)
                if usual and worker.unasked:
                    usual = worker.is_quiet()
                    worker.unasked = not usual
                if usual:
                    outbox.popleft()
                    batch.unsent = False
                    done = worker.send_next(batch)
        if not usual:
            self.flush(worker)
        elif not done:
            self._core.loop.post(partial(self.write, worker))

    def _write(self, worker: Worker) -> bool:
        """Write what is to be written, pickling it; False if the pipe is full."""
        thread = get_ident()
        others = thread in must_not_wait
        must_not_wait.add(thread)
        try:
            return worker.flush()
        except BaseException as error:
            if not SHIELD.has_raised(error):
                raise
            SHIELD.hold_back()  # it came while an argument was pickled: whoever leads goes on
            self._core.loop.post(partial(self.write, worker))
            return True
        finally:
            if not others:
                must_not_wait.discard(thread)

    def unshare(self, name: str) -> None:
        """Tell every worker that something shared was freed; those that are lent, on return."""
        for worker in list(self._core.workers.values()):
            worker.freed_shares.append(name)
            self.write(worker)

    def write(self, worker: Worker) -> None:
        """Write what is to be written to a worker that nobody has."""
        with self._core.lock:
            slot = self._core.scheduler.slots.get(worker.id)
        if slot is not None and slot.state is not WorkerState.LEASED:
            self.flush(worker)

    def recall(self, number: int, cancelled: Job | None = None, *, read: bool = False) -> bool:
        """Take from a worker what it has not begun; True if the item of `cancelled` is among it.

        With `read`, it is asked to give back what it has read, too.
        """
        worker = self._core.workers.get(number)
        if worker is None:
            return False
        if worker.io.is_mine:  # it is just being written to, on this thread
            self._core.loop.post(partial(self.recall, number, read=read))
            return False
        with worker.io:
            gone = worker.closed or worker.borrowed or worker.leased
            batches = [] if gone else worker.take_back()
            worker.held += bool(batches)
            if read and not gone:
                worker.ask_back()
        found = any(batch.job is cancelled for batch in batches)
        if found and cancelled is not None:
            cancelled.cancelled = cancelled.recalled = True
        if batches:
            self.relieve(worker, partial(self._core.scheduler.taken_back, number, batches))
            with worker.io:
                worker.held -= 1
            self.flush(worker)
        return found

    def relieve(self, worker: Worker, decision: Callable[[float], list[Command]]) -> None:
        """Let it be decided that a worker has fewer items; with none, it was asked for nothing."""

        def decide(now: float) -> list[Command]:
            commands = decision(now)
            slot = self._core.scheduler.slots.get(worker.id)
            if slot is not None and not slot.load:
                worker.unasked = True
            return commands

        self._core.decide(decide)

    def drop(self, batch: Batch, state: PoolState) -> None:
        """These items will never start: tell their job why."""
        error = None if batch.job.cancelled else self._core.state_error()
        if error is None and state is PoolState.BROKEN:
            error = PoolBroken("the pool is broken")
        batch.job.drop(batch, error)
        batch.forget()

    def _stop(self, worker: Worker | None) -> None:
        if worker is not None and worker.io.is_mine:
            self._core.loop.post(partial(self._stop, worker))
        elif worker is not None:
            with worker.io:
                if not worker.closed:
                    worker.ask_to_exit()

    def _signal(self, number: int, signum: signal.Signals) -> None:
        worker = self._core.workers.get(number)
        if worker is not None:
            worker.process.signal_group(signum)

    # -- what is watched -------------------------------------------------------------------------

    def watch(self, worker: Worker) -> None:
        """Under the lock: the worker is given something to do."""
        if worker.foreign and not self.hangs.is_looking:
            self.hangs.begin()
        if worker.id not in self._watched:
            worker.unasked = True
            self._watched.add(worker.id)
            handler = partial(self.on_answer, worker)
            self._core.loop.watch(worker.process.stdout, select.EPOLLIN, handler, last=True)

    def unwatch(self, worker: Worker) -> None:
        """Under the lock: what the worker writes to its stdout is no business of the engine's."""
        if worker.id in self._watched:
            self._watched.discard(worker.id)
            self._core.loop.forget(worker.process.stdout)

    def abandon_pipes(self, worker: Worker) -> None:
        """Under the lock: watch nothing of this worker any more."""
        self.unwatch(worker)
        process = worker.process
        for fd in (process.stdin, process.stdout, process.stderr, process.pidfd, worker.ready_fd):
            self._core.loop.forget(fd)

    def _on_writable(self, worker: Worker) -> None:
        with worker.io:
            done = worker.closed or (not worker.held and worker.flush())
            see_to_stdin(self._core, worker)
        if done:
            with self._core.lock:
                self._core.loop.forget(worker.process.stdin)
            with worker.io:
                worker.end_input()

    def plan_timer(self) -> None:
        """Under the lock: an item has begun, or a worker is idle, and nothing else is new."""
        due = self._core.scheduler.deadlines.next_at
        planned = self._core.loop.planned
        if due is not None and (planned is None or due < planned):
            self._core.lead.plan(due)

    def plan(self) -> None:
        """After a decision: see when the next one is due, and that nobody sleeps beyond that."""
        core = self._core
        scheduler = core.scheduler
        with core.lock:
            starts = scheduler.next_start is not None
            closing = scheduler.state is PoolState.CLOSING
            core.lead.plan(scheduler.next_deadline)
        if starts or closing:
            core.lead.wake_keeper()
