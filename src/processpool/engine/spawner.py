"""From a free slot to a worker that is ready: starts processes, and reports failed starts.

Processes are started by the keeper alone; everything else is done by the thread that leads.
"""

from __future__ import annotations

import os
import select
import signal
from collections import deque
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core import events
from processpool.core.commands import Spawn
from processpool.core.exit_reason import ExitReason
from processpool.core.states import WorkerState
from processpool.errors import WorkerStartFailed
from processpool.system.readiness import Probe
from processpool.wire.python.remote_errors import in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.event_hub import EventHub
    from processpool.engine.workers.worker import Worker
    from processpool.system.guard import Guard
    from processpool.wire.framing.start import StartDialogue

READY_MESSAGE = 64 * 1024
"""Bytes read at a time of what a worker says when it is ready."""
STARTS_A_TURN = 4
"""Processes started between two looks at the answers."""


class Spawner:
    """Starts the workers of an engine, and finds out when they are ready."""

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
        self._breaks_told = 0
        self._launch = launch
        self._is_proven = False
        """True while the last worker that was looked at became ready."""
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
        self.guard.add(worker.pid)  # at once: another start would take the place of its mark
        self.launched.append(worker)
        core.loop.post(self._adopt)

    def _adopt(self) -> None:
        """A worker's process runs: watch over it, until it is ready."""
        worker = self.launched[0]
        self._watch_over(worker)
        self.launched.popleft()
        now = monotonic()
        if worker.ready_fd >= 0:
            self._core.loop.watch(worker.ready_fd, select.EPOLLIN, partial(self._on_told, worker))
        if worker.start is not None:
            self._begin(worker, worker.start)
        elif worker.probed:
            self._look_again(worker, Probe(worker.process, now))
        self._hub.publish(events.WorkerStarted(now, worker.id, worker.pid))
        if worker.answers_by_exit and self._is_proven:  # its input may come while it still loads
            self._ready(worker)

    def _watch_over(self, worker: Worker) -> None:
        core, process = self._core, worker.process
        with core.lock:
            core.workers[worker.id] = worker
            worker.run_user_code = self._hub.run
            exit_handler = partial(self.on_exit, worker)
            core.loop.watch(process.pidfd, select.EPOLLIN | select.EPOLLONESHOT, exit_handler)
            stderr_handler = partial(self.on_stderr, worker)
            core.loop.watch(process.stderr, select.EPOLLIN | select.EPOLLET, stderr_handler)
            unwanted = core.scheduler.slots[worker.id].state is not WorkerState.STARTING
        if unwanted:  # it was to be ended while there was no process yet to be told
            process.signal_group(signal.SIGKILL)

    def _begin(self, worker: Worker, start: StartDialogue) -> None:
        """Begin what is to be said and heard before a worker is ready."""
        with worker.io:
            worker.write_on(start.begin())
        handler = partial(self._on_start, worker, start)
        self._core.loop.watch(worker.process.stdout, select.EPOLLIN, handler)
        if start.is_over:
            self._end_start(worker)

    def _on_start(self, worker: Worker, start: StartDialogue) -> None:
        """A worker that is not ready has written something."""
        with worker.io:
            data = b"" if worker.closed else worker.read_some()
            worker.write_on(start.feed(data))
        if not data or start.error is not None:
            self._core.loop.forget(worker.process.stdout)
        if start.error is not None:
            scheduler, reason = self._core.scheduler, ExitReason.GARBLED_START
            self._core.decide(lambda _: scheduler.kill(worker.id, reason))
        elif start.is_over:
            self._end_start(worker)

    def _end_start(self, worker: Worker) -> None:
        """Everything was said: it is ready as soon as it awaits a request."""
        self._core.loop.forget(worker.process.stdout)
        self._look_again(worker, Probe(worker.process, monotonic()))

    def note_failure(self, worker: Worker, error: WorkerStartFailed | OSError) -> None:
        """A worker is of no use: remember why, and tell."""
        self._is_proven = False
        self._keep_error(worker.id, error)
        self._tell_failure(worker.id, worker, error)

    def _keep_error(self, number: int, error: WorkerStartFailed | OSError) -> None:
        slot = self._core.scheduler.slots.get(number)
        if slot is None or slot.started_at >= self._core.forgiven:
            self._core.start_error = error

    def _tell_failure(
        self, number: int, worker: Worker | None, error: WorkerStartFailed | OSError
    ) -> None:
        self._hub.remember(in_words(error), number, worker)
        if self._core.announces_failures:
            self._hub.warn("worker %d did not start: %s", number, error)
        self._hub.publish(events.WorkerFailedToStart(monotonic(), number, str(error)))

    def tell_if_broken(self) -> None:
        """Tell that the pool broke, once each time."""
        core = self._core
        with core.lock:
            broke = core.scheduler.breaks > self._breaks_told
            self._breaks_told = core.scheduler.breaks
        if broke:
            self._hub.publish(events.PoolBroke(monotonic(), str(core.start_error)))

    def _on_told(self, worker: Worker) -> None:
        """The worker says that it is ready; or it has closed the pipe without a word."""
        told = os.read(worker.ready_fd, READY_MESSAGE)
        try:
            if told and not worker.told(told):
                return  # the rest of it will come
        except Exception:  # it was the user's code that wrote this
            self._core.loop.forget(worker.ready_fd)
            self._core.decide(
                lambda _: self._core.scheduler.kill(worker.id, ExitReason.GARBLED_START)
            )
            return
        self._core.loop.forget(worker.ready_fd)
        if not told or not worker.says_more:
            os.close(worker.ready_fd)
            worker.ready_fd = -1
        if told:
            worker.lingers = 0
            self._ready(worker)

    def _look_again(self, worker: Worker, probe: Probe) -> None:
        now = monotonic()
        self._core.loop.later(max(probe.next_at - now, 0), partial(self._look, worker, probe))

    def _look(self, worker: Worker, probe: Probe) -> None:
        if worker.ready or worker.closed:
            return
        if probe.is_ready(monotonic()):
            self._ready(worker)
        else:
            self._look_again(worker, probe)

    def _ready(self, worker: Worker) -> None:
        if worker.ready:
            return
        worker.ready = self._is_proven = True
        core = self._core
        with worker.io:
            stray = worker.stray_output()
        if stray and worker.start is None:  # what comes at the end of a start belongs to it
            self._hub.report_stray(worker, stray)
            core.decide(lambda _: core.scheduler.kill(worker.id, ExitReason.WROTE_UNASKED))
            return
        with core.lock:
            started_at = core.scheduler.slots[worker.id].started_at
        now = monotonic()
        self._hub.publish(events.WorkerBecameReady(now, worker.id, worker.pid, now - started_at))
        proven = not worker.foreign
        core.decide(lambda now: core.scheduler.ready(worker.id, now, proven=proven))
