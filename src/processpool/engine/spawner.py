"""From a free slot to a process that runs: starts workers, and reports failed starts.

Processes are started by the keeper alone; everything else is done by the thread that leads.
"""

from __future__ import annotations

import select
import signal
from collections import deque
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core import events
from processpool.core.commands import Spawn
from processpool.core.states import WorkerState
from processpool.engine.closed_pipes import watch_stdin
from processpool.engine.idle_memory import IdleMemory
from processpool.engine.readying import Readying
from processpool.errors import WorkerStartFailed
from processpool.wire.python.remote_errors import format_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.event_hub import EventHub
    from processpool.engine.workers.worker import Worker
    from processpool.system.guard import Guard

STARTS_A_TURN = 4
"""Processes started between two looks at the answers."""


class Spawner:
    """Starts the workers of an engine, and watches over them."""

    guard: Guard
    """Knows of a process before it runs; there once the engine is open."""

    on_exit: Callable[[Worker], None]
    """What is called when a worker's process has ended; the reaper's."""
    on_stderr: Callable[[Worker], None]
    """What is called when a worker has written to its stderr; the receiver's."""

    def __init__(
        self,
        core: Core,
        dispatcher: Dispatcher,
        hub: EventHub,
        launch: Callable[[int, int, str], Worker],
    ) -> None:
        """`launch(number, place, mark)` starts a worker process."""
        self._core = core
        self._dispatcher = dispatcher
        self._hub = hub
        self._readying = Readying(core, hub)
        self._idle_memory = IdleMemory(core, dispatcher)
        self._breaks_told = 0
        self._launch = launch
        self.launched: deque[Worker] = deque()
        """Workers whose process runs, and which the engine is about to adopt."""

    def start_wanted(self) -> None:
        """Start workers that the scheduler wants, a few at a time."""
        for _ in range(STARTS_A_TURN):
            with self._core.lock:
                commands = self._core.scheduler.spawn(monotonic())
            if not commands:
                return
            self._dispatcher.plan()
            for command in commands:
                if type(command) is Spawn:
                    self._start(command.worker, command.place)

    def _start(self, number: int, place: int) -> None:
        core = self._core
        try:
            with self.guard.starting() as mark:
                worker = self._launch(number, place, mark)
        except (OSError, WorkerStartFailed) as error:
            self._keep_error(number, error)
            core.loop.post(partial(self._tell_failure, number, None, error))
            core.decide(lambda now: core.scheduler.exited(number, now, failed_start=True))
            core.loop.post(self.tell_if_broken)
            return
        worker.place = place
        worker.tally.sit(place, core.scheduler.policy.max)
        self.guard.add(worker.pid)  # at once: another start would take the place of its mark
        self.launched.append(worker)
        core.loop.post(self._adopt)

    def _adopt(self) -> None:
        """A worker's process runs: watch over it, until it is ready."""
        worker = self.launched[0]
        self._watch_over(worker)
        self.launched.popleft()
        now = monotonic()
        self._readying.begin(worker)
        self._hub.publish(events.WorkerStarted(now, worker.id, worker.pid))

    def _watch_over(self, worker: Worker) -> None:
        core, process = self._core, worker.process
        with core.lock:
            core.workers[worker.id] = worker
            worker.protocol.run_user_code, worker.protocol.pool = self._hub.run, self._hub.pool
            self._idle_memory.watch(worker)
            exit_handler = partial(self.on_exit, worker)
            core.loop.watch(process.pidfd, select.EPOLLIN | select.EPOLLONESHOT, exit_handler)
            stderr_handler = partial(self.on_stderr, worker)
            watch_stdin(core, worker)
            core.loop.watch(process.stderr, select.EPOLLIN | select.EPOLLET, stderr_handler)
            unwanted = core.scheduler.slots[worker.id].state is not WorkerState.STARTING
        if unwanted:  # it was to be ended while there was no process yet to be told
            process.signal_group(signal.SIGKILL)

    def note_failure(self, worker: Worker, error: WorkerStartFailed | OSError) -> None:
        """A worker is of no use: remember why, and tell."""
        self._readying.is_proven = False
        self._keep_error(worker.id, error)
        self._tell_failure(worker.id, worker, error)

    def _keep_error(self, number: int, error: WorkerStartFailed | OSError) -> None:
        slot = self._core.scheduler.slots.get(number)
        if slot is None or slot.started_at >= self._core.forgiven:
            self._core.start_error = error

    def _tell_failure(
        self, number: int, worker: Worker | None, error: WorkerStartFailed | OSError
    ) -> None:
        self._hub.remember(format_error(error), number, worker)
        if self._core.announces_failures:
            self._hub.warn("worker %d did not start: %s", number, error, worker=number)
        self._hub.publish(events.WorkerFailedToStart(monotonic(), number, str(error)))

    def tell_if_broken(self) -> None:
        """Tell that the pool broke, once each time."""
        core = self._core
        with core.lock:
            broke = core.scheduler.breaks > self._breaks_told
            self._breaks_told = core.scheduler.breaks
        if broke:
            self._hub.publish(events.PoolBroke(monotonic(), str(core.start_error)))
