"""The end of a worker: its last answers, its unanswered items, and tidying up.

Runs on the engine thread only; nobody else closes a worker's descriptors.
"""

from __future__ import annotations

import signal
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core import events
from processpool.core.commands import Lost, Retry
from processpool.core.exit_reason import ExitReason
from processpool.core.jobs import Origin
from processpool.core.states import WorkerState
from processpool.engine.workers import failures
from processpool.wire.python.remote_errors import in_words

if TYPE_CHECKING:
    from processpool.core.slot import Slot
    from processpool.engine.local import Engine
    from processpool.engine.workers.worker import Worker

_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Undertaker:
    """Sees to workers whose process has ended."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def on_exit(self, worker: Worker) -> None:
        """A worker's process has ended."""
        engine = self._engine
        worker.process.reap()
        engine.lending.reclaim()  # it may be one of those that are kept for calls
        with engine.lock:
            engine.loop.forget(worker.process.pidfd)
            leased = engine.scheduler.slots[worker.id].state is WorkerState.LEASED
            in_use = leased or worker.borrowed
            engine.lock.notify_all()
        if not in_use:  # otherwise the thread that has it will see, and discard it
            self.bury(worker)

    def bury_later(self, worker: Worker) -> None:
        """A leased worker was discarded: if its process has ended already, nothing will tell."""
        self._engine.loop.post(partial(self._bury_if_dead, worker))

    def _bury_if_dead(self, worker: Worker) -> None:
        if worker.process.exitcode is not None and not worker.closed:
            self.bury(worker)

    def bury(self, worker: Worker) -> None:
        """Take its last answers, see what its end means for its items, and tidy up."""
        engine = self._engine
        exitcode = worker.process.reap()
        begun = self._take_last_answers(worker)
        with engine.lock:
            engine.hands.abandon_pipes(worker)
            slot = engine.scheduler.slots[worker.id]
            failed_start = _is_failed_start(slot, exitcode, begun or worker.died_loading())
            killed = slot.exit_reason is None and -exitcode in _FROM_OUTSIDE
            chance = killed and engine.scheduler.forgives_kills
        if failed_start and not chance:
            limit = engine.scheduler.policy.start or 0.0
            error = failures.start_failed(worker, slot.exit_reason, engine.command, limit)
            engine.starter.note_failure(worker, error)
        now = monotonic()
        lost = engine.release_slot(worker, failed_start=failed_start, killed=killed, begun=begun)
        for command in lost:
            self._lose(worker, command, now)
        stderr = worker.stderr.tail
        with worker.io:
            worker.close()
        engine.news.emit(
            events.WorkerExited(now, worker.id, worker.pid, exitcode, slot.exit_reason, stderr)
        )

    def _take_last_answers(self, worker: Worker) -> bool:
        """Deliver what it had still written; False if it had not begun its next item."""
        engine = self._engine
        with engine.lock:
            engine.scheduler.ended(worker.id)
        with worker.io:
            answers = worker.drain()
            begun = worker.has_begun()
        engine.reader.release_held(worker)
        if answers and engine.scheduler.slots[worker.id].load:
            engine.reader.complete_all(worker, answers)
        return begun

    def _lose(self, worker: Worker, lost: Lost | Retry, now: float) -> None:
        """The item that the worker had fails; or, if it is tried again, that is noted."""
        engine = self._engine
        batch = lost.batch
        reply = worker.unfinished()
        seconds = now - batch.sent_at if batch.job.timeout is None else batch.job.timeout
        error = failures.lost_item(worker, lost.exit_reason, engine.command, seconds, reply.stderr)
        text = in_words(error)
        if lost.exit_reason is not ExitReason.CANCELLED:
            engine.news.remember(text, worker.id, worker)
        reply.error = error
        stderr = worker.item_stderr()
        origin = Origin(worker.id, worker.pid, batch.sent_at, now, stderr, plain=False, failed=1)
        if type(lost) is Retry:
            batch.history = (*batch.history, batch.attempt(0, reply, origin))
        else:
            batch.job.deliver(batch, [reply], origin)
            batch.forget()
        engine.news.emit(events.ItemFailed(now, worker.id, worker.pid, batch.start, text))


def _is_failed_start(slot: Slot, exitcode: int, begun: bool) -> bool:
    """True if the worker was of no use, and the next one will hardly be of more.

    One that was ready, and was killed from outside, says nothing about the next; nor does one that
    had answered.
    """
    if slot.handled:
        return False
    if slot.state is WorkerState.STARTING:
        return True
    if slot.exit_reason is not None:
        return slot.exit_reason.blames_start
    return exitcode >= 0 and (not begun or not slot.load)
