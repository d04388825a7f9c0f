"""Executes what was decided about workers, and watches their descriptors.

`stage` runs under the lock, so that batches are written in the order of the decisions; everything
else runs without it, on whatever thread has decided.
"""

from __future__ import annotations

import select
import signal
from functools import partial
from typing import TYPE_CHECKING

from processpool.core.commands import (
    Command,
    Drop,
    DumpStacks,
    Grant,
    Kill,
    MakeWay,
    Send,
    Stop,
    TakeBack,
    Terminate,
)
from processpool.core.exit_reason import ExitReason
from processpool.core.states import PoolState, WorkerState
from processpool.engine.closed_pipes import end_input
from processpool.engine.hangs import Hangs
from processpool.engine.last_words import say_last_words, see_last_moments
from processpool.engine.recalls import take_back
from processpool.engine.workers.channel import ChannelState
from processpool.engine.workers.listening import Listening, ListeningEvent
from processpool.engine.workers.owner import Owner, OwnerEvent
from processpool.errors import PoolBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from processpool.core.jobs import Batch, Job
    from processpool.engine.core import Core
    from processpool.engine.event_hub import EventHub
    from processpool.engine.workers.worker import Worker


SILENT, EXPECTING = Listening.SILENT, Listening.EXPECTING
CLOSED = ChannelState.CLOSED
"""What single items look at, as names of its own."""


class Dispatcher:
    """Executes the decisions about the workers of one engine."""

    on_answer: Callable[[Worker], None]
    """What is called when a worker has written something; the receiver's."""
    watch_over: Callable[[Worker], None]
    """What is called when a worker has got several items; the receiver's."""
    weigh: Callable[[], None] | None = None
    """What is called when a worker gets something to do, in a pool with a budget of memory."""
    share_out: Callable[[Worker], None]
    """What is called to get the rest of a batch that a worker was asked for, and to assign it."""

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
                worker.owner.on(OwnerEvent.LEASED)
                self.unwatch(worker)
            elif type(command) is Send:
                worker = self._core.workers[command.worker]
                worker.outbox.append(command.batch)
                command.batch.job.begin()
                if self.weigh is not None:
                    self.weigh()
                prefetching = worker.prefetching
                is_ahead = prefetching is not None and len(command.batch) > 1
                if prefetching is not None and is_ahead and not prefetching.is_watched:
                    prefetching.is_watched = True
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
                    see_last_moments(self._core, number)
                    self._signal(number, signal.SIGKILL)
                case TakeBack(number, read):
                    take_back(self._core, self.recall, number, read=read)
                case MakeWay(number):
                    self._make_way(number)
                case Grant():
                    with self._core.lock:
                        self._core.lock.notify_all()
        self.plan()

    def flush(self, worker: Worker | None) -> None:
        """Write what was decided to be sent."""
        if worker is None:
            return
        core = self._core
        if worker.io.is_mine:  # a finaliser uses the pool in the middle of this
            core.loop.post(partial(self.write, worker))
            return
        with worker.io:
            if worker.owner.state is not Owner.POOL or worker.recalls:
                return
            unsolicited = b""
            if worker.outbox:
                if worker.listening.state is SILENT:
                    unsolicited = worker.unsolicited_output()
                if not unsolicited:
                    worker.listening.on(ListeningEvent.ASKED)
            done = not unsolicited and (worker.is_closed or worker.flush())
        if unsolicited:
            self._hub.report_unsolicited(worker, unsolicited)
            core.decide(partial(core.scheduler.kill, worker.id, ExitReason.WROTE_UNASKED))
        elif not done:
            with core.lock:
                if not worker.is_closed:
                    core.loop.change(worker.process.stdin, select.EPOLLOUT)
        elif worker.protocol.answers_by_exit:
            end_input(core, worker)

    def send_single(self, worker: Worker, batch: Batch) -> None:
        """Write one item to a worker that has nothing else to do; see `Scheduler.begin`."""
        done = usual = False
        with worker.io:
            outbox = worker.outbox
            if len(outbox) == 1 and outbox[0] is batch:
                usual = not (worker.recalls or worker.channel.state is CLOSED)
                if usual and worker.listening.state is SILENT:
                    usual = worker.channel.is_quiet()
                    if usual:
                        worker.listening.state = EXPECTING  # by its table: it is asked
                if usual:
                    outbox.popleft()
                    done = worker.protocol.send_next(batch)
        if not usual:
            self.flush(worker)
        elif not done:
            self._core.loop.post(partial(self.write, worker))

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
        if worker is None or worker.prefetching is None:
            return False
        if worker.io.is_mine:  # it is just being written to, on this thread
            self._core.loop.post(partial(self.recall, number, read=read))
            return False
        with worker.io:
            gone = worker.is_closed or worker.owner.state is not Owner.POOL
            batches = [] if gone else worker.prefetching.take_back()
            worker.recalls += bool(batches)
            if read and not gone:
                worker.prefetching.ask_back()
        found = any(batch.job is cancelled for batch in batches)
        if found and cancelled is not None:
            cancelled.cancelled = cancelled.recalled = True
        if batches:
            self.relieve(worker, partial(self._core.scheduler.taken_back, number, batches))
            with worker.io:
                worker.recalls -= 1
            self.flush(worker)
        return found

    def _make_way(self, number: int) -> None:
        """Recall what a worker has not begun, and see what comes first now."""
        core = self._core
        self.recall(number, read=True)
        worker, slot = core.workers.get(number), core.scheduler.slots.get(number)
        if worker is not None and slot is not None and slot.load > 1:  # it has read what it has
            self.share_out(worker)
        else:
            core.decide(core.scheduler.reassign)

    def relieve(self, worker: Worker, decision: Callable[[float], list[Command]]) -> None:
        """Let it be decided that a worker has fewer items; with none, it was asked for nothing."""

        def decide(now: float) -> list[Command]:
            commands = decision(now)
            slot = self._core.scheduler.slots.get(worker.id)
            owes_nothing = slot is not None and not slot.load
            if owes_nothing and worker.listening.state is EXPECTING:
                worker.listening.on(ListeningEvent.SETTLED)
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
                if not worker.is_closed:
                    self._core.loop.forget(worker.process.stdin)
                    worker.ask_to_exit()

    def _signal(self, number: int, signum: signal.Signals) -> None:
        worker = self._core.workers.get(number)
        if worker is not None:
            worker.process.signal_group(signum)

    # -- what is watched -------------------------------------------------------------------------

    def watch(self, worker: Worker) -> None:
        """Under the lock: the worker is given something to do."""
        if worker.trial.is_foreign and not self.hangs.is_looking:
            self.hangs.begin()
        if worker.id not in self._watched:
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
        process, ready = worker.process, worker.readiness.fd
        for fd in (process.stdin, process.stdout, process.stderr, process.pidfd, ready):
            self._core.loop.forget(fd)

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
