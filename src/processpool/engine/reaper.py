"""The end of a worker: its last answers, its unanswered items, and tidying up.

Runs on the thread that leads; nobody else closes a worker's descriptors.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Literal

from processpool.core import events
from processpool.core.commands import Lost, Retry
from processpool.core.exit_reason import ExitReason
from processpool.core.jobs import Origin
from processpool.core.snapshot import Loss
from processpool.core.states import WorkerState
from processpool.engine.workers import failures
from processpool.engine.workers.listening import Listening
from processpool.engine.workers.owner import Owner
from processpool.system.cgroups import KernelsKills
from processpool.system.platform import signals
from processpool.wire.python.remote_errors import format_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.core.commands import Command
    from processpool.core.slot import Slot
    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.event_hub import EventHub
    from processpool.engine.receiver import Receiver
    from processpool.engine.spawner import Spawner
    from processpool.engine.workers.worker import Worker

_FROM_OUTSIDE = signals("KILL", "TERM", "INT", "HUP")
_ASKED_FOR = (ExitReason.CANCELLED, ExitReason.RESTARTED, ExitReason.CLOSED)
"""Ends of workers that are no error of the pool, although they may cost an item."""


class Reaper:
    """Sees to workers whose process has ended."""

    reclaim: Callable[[], None]
    """Takes back the workers that are kept for calls; the checkout's."""

    def __init__(
        self,
        core: Core,
        dispatcher: Dispatcher,
        receiver: Receiver,
        spawner: Spawner,
        hub: EventHub,
    ) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._receiver = receiver
        self._spawner = spawner
        self._hub = hub
        self._kernels_kills = KernelsKills()

    def on_exit(self, worker: Worker) -> None:
        """A worker's process has ended."""
        core = self._core
        worker.process.reap()
        self.reclaim()  # it may be one of those that are kept for calls
        with core.lock:
            core.loop.forget(worker.process.pidfd)
            leased = core.scheduler.slots[worker.id].state is WorkerState.LEASED
            in_use = leased or worker.owner.state in (Owner.CALL, Owner.WARM)
            core.lock.notify_all()
        if not in_use:  # otherwise the thread that has it will see, and discard it
            self.reap(worker)

    def reap_later(self, worker: Worker) -> None:
        """A leased worker was discarded: if its process has ended already, nothing will tell."""
        self._core.loop.post(partial(self._reap_if_dead, worker))

    def _reap_if_dead(self, worker: Worker) -> None:
        if worker.process.exitcode is not None and not worker.is_closed:
            self.reap(worker)

    def reap(self, worker: Worker) -> None:
        """Take its last answers, see what its end means for its items, and tidy up."""
        core = self._core
        exitcode = worker.process.reap()
        begun = self._take_last_answers(worker)
        with core.lock:
            self._dispatcher.abandon_pipes(worker)
            slot = core.scheduler.slots[worker.id]
            failed_start = _is_failed_start(slot, exitcode, begun or worker.protocol.died_loading())
            killed = slot.exit_reason is None and -exitcode in _FROM_OUTSIDE
            worker.was_starved = killed and self._kernels_kills.has_killed(exitcode)
            if worker.was_starved:
                core.scheduler.starved(worker.id)
            chance = killed and core.scheduler.forgives_kills
            running, since = slot.inflight[0] if slot.inflight else None, slot.since
        if running is not None:
            worker.tally.settle(running, since)
        if failed_start and not chance:
            limit = core.scheduler.policy.start or 0.0
            error = failures.start_failed(worker, slot.exit_reason, core.command, limit)
            self._spawner.note_failure(worker, error)
        now = monotonic()
        lost = self._release_slot(worker, failed_start=failed_start, killed=killed, begun=begun)
        for command in lost:
            self._lose(worker, command, now)
        received, stderr = worker.written
        with worker.io:
            worker.close()
        reason = slot.exit_reason
        self._hub.publish(
            events.WorkerExited(now, worker.id, worker.pid, exitcode, reason, stderr, received)
        )

    def _release_slot(
        self, worker: Worker, *, failed_start: bool, killed: bool, begun: bool
    ) -> list[Lost | Retry]:
        """The worker is gone: let others have its place and what it had not begun."""
        core = self._core

        def release(now: float) -> list[Command]:
            del core.workers[worker.id]
            return core.scheduler.exited(
                worker.id,
                now,
                failed_start=failed_start,
                killed=killed,
                begun=begun,
                singly=worker.protocol.died_loading(),
            )

        commands = core.decide(release)
        self._spawner.guard.remove(worker.pid)
        self._spawner.tell_if_broken()
        return [command for command in commands if isinstance(command, Lost | Retry)]

    def _take_last_answers(self, worker: Worker) -> bool:
        """Deliver what it had still written; False if it had not begun its next item."""
        core = self._core
        with core.lock:
            core.scheduler.ended(worker.id)
        with worker.io:
            answers = worker.drain()
            begun = worker.has_begun()
            worker.outbox.clear()  # whoever is about to write it comes too late
            answers = worker.attribution.release() + answers
            worker.outbox.clear()  # whoever is about to write it comes too late
            is_stray = worker.listening.state is Listening.SILENT  # it was asked for nothing yet
        if worker.protocol.answers_by_exit and core.scheduler.slots[worker.id].exit_reason:
            answers = []  # its end was the pool's doing, and is no answer
        if answers and not is_stray and core.scheduler.slots[worker.id].load:
            self._receiver.complete_all(worker, answers)
        return begun

    def _lose(self, worker: Worker, lost: Lost | Retry, now: float) -> None:
        """The item that the worker had fails; or, if it is tried again, that is noted."""
        core = self._core
        batch = lost.batch
        reply = worker.protocol.unfinished()
        seconds = now - batch.sent_at if batch.job.timeout is None else batch.job.timeout
        error: BaseException
        if lost.exit_reason is ExitReason.OUT_OF_MEMORY:
            error = failures.out_of_memory(worker, core.scheduler.policy.memory)
        else:
            error = failures.lost_item(worker, lost.exit_reason, core.command, seconds, reply)
        text = format_error(error)
        reply.error = error
        stderr = worker.item_stderr()
        self._hub.losses.append(Loss(worker.id, _how(lost)))
        if lost.exit_reason not in _ASKED_FOR:
            own = stderr if reply.stderr is None else reply.stderr
            self._hub.remember(text, worker.id, worker, own)
        origin = Origin(worker.id, worker.pid, batch.sent_at, now, stderr, plain=False, failed=1)
        origin.slot, origin.peak_memory = worker.place, worker.memory.peak
        origin.skipped = worker.protocol.take_skipped()
        if type(lost) is Retry:
            batch.history = (*batch.history, batch.attempt(0, reply, origin))
        else:
            batch.job.deliver(batch, [reply], origin)
            batch.forget()
        self._hub.publish(events.ItemFailed(now, worker.id, worker.pid, batch.start, text))


def _how(lost: Lost | Retry) -> Literal["failed", "cancelled", "retried"]:
    """What becomes of the item of a worker that has ended."""
    if type(lost) is Retry:
        return "retried"
    return "cancelled" if lost.batch.job.cancelled else "failed"


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
