"""From a process that runs to a worker that is ready; runs on the thread that leads."""

from __future__ import annotations

import select
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core import events
from processpool.core.exit_reason import ExitReason
from processpool.engine.workers.attribution import LatenessEvent
from processpool.engine.workers.channel import ChannelState
from processpool.engine.workers.readiness import ReadinessEvent, ReadinessState
from processpool.engine.workers.served import begin_serving
from processpool.system.memory import read_peak
from processpool.system.readiness import Probe

if TYPE_CHECKING:
    from processpool.core.commands import Command
    from processpool.engine.core import Core
    from processpool.engine.event_hub import EventHub
    from processpool.engine.workers.worker import Worker
    from processpool.wire.framing.start import StartDialogue


class Readying:
    """Finds out when the workers of one engine are ready."""

    def __init__(self, core: Core, hub: EventHub) -> None:
        self.is_proven = False
        """True while the last worker that was looked at became ready."""
        self._core = core
        self._hub = hub

    def begin(self, worker: Worker) -> None:
        """A worker's process runs: see when it is ready."""
        readiness = worker.readiness
        if readiness.fd >= 0:
            self._core.loop.watch(readiness.fd, select.EPOLLIN, partial(self._on_said, worker))
        if readiness.dialogue is not None:
            self._begin_dialogue(worker, readiness.dialogue)
        elif worker.protocol.answers_by_exit and self.is_proven:  # its input may come meanwhile
            self._core.loop.post(partial(self._take_as_ready, worker))
        elif readiness.state is ReadinessState.PROBED:
            self._look_again(worker, Probe(worker.process, monotonic()))

    def _take_as_ready(self, worker: Worker) -> None:
        if not worker.is_closed:
            self._ready(worker, ReadinessEvent.SEEN)

    # -- by a dialogue ---------------------------------------------------------------------------

    def _begin_dialogue(self, worker: Worker, dialogue: StartDialogue) -> None:
        """Begin what is to be said and heard before a worker is ready."""
        with worker.io:
            worker.channel.write_on(dialogue.begin())
        handler = partial(self._on_dialogue, worker, dialogue)
        self._core.loop.watch(worker.process.stdout, select.EPOLLIN, handler)
        if dialogue.is_over:
            self._end_dialogue(worker)

    def _on_dialogue(self, worker: Worker, dialogue: StartDialogue) -> None:
        """A worker that is not ready has written something."""
        channel = worker.channel
        with worker.io:
            data = b"" if channel.state is ChannelState.CLOSED else channel.read()
            channel.write_on(dialogue.feed(data))
        if channel.has_ended or dialogue.error is not None:
            self._core.loop.forget(worker.process.stdout)
        if dialogue.error is not None:
            self._end_garbled(worker)
        elif dialogue.is_over:
            self._end_dialogue(worker)

    def _end_dialogue(self, worker: Worker) -> None:
        """Everything was said: it is ready as soon as it awaits a request."""
        self._core.loop.forget(worker.process.stdout)
        worker.readiness.on(ReadinessEvent.DIALOGUE_OVER)
        self._look_again(worker, Probe(worker.process, monotonic()))

    # -- because it says so ----------------------------------------------------------------------

    def _on_said(self, worker: Worker) -> None:
        """The worker says that it is ready; or it has closed the pipe without a word."""
        readiness = worker.readiness
        try:
            said = readiness.hear()
            if said and not readiness.understand(said):
                return  # the rest of it will come
        except Exception:  # it was the user's code that wrote this
            self._core.loop.forget(readiness.fd)
            self._end_garbled(worker)
            return
        self._core.loop.forget(readiness.fd)
        if not said or not readiness.says_more:
            readiness.close()
        if not said:
            return
        worker.trial.trust()
        worker.attribution.on(LatenessEvent.PROVED)  # it says where the stderr of requests ends
        serving = begin_serving(worker, said)
        if serving is not None:
            self._core.decide(partial(self._serves, worker))
            serving.sent_ahead(self._core.scheduler.policy.window)
        if readiness.dialogue is None or readiness.dialogue.is_over:
            self._ready(worker, ReadinessEvent.SAID)

    def _serves(self, worker: Worker, _: float) -> list[Command]:
        return self._core.scheduler.serves(worker.id)

    # -- by looking at it ------------------------------------------------------------------------

    def _look_again(self, worker: Worker, probe: Probe) -> None:
        now = monotonic()
        self._core.loop.later(max(probe.next_at - now, 0), partial(self._look, worker, probe))

    def _look(self, worker: Worker, probe: Probe) -> None:
        is_closed = worker.channel.state is ChannelState.CLOSED
        if is_closed or worker.readiness.state is ReadinessState.READY:
            return
        if probe.is_ready(monotonic()):
            if worker.readiness.has_said_something():
                self._on_said(worker)  # it says more than can be seen
            self._ready(worker, ReadinessEvent.SEEN)
        else:
            self._look_again(worker, probe)

    # -- the end of it ---------------------------------------------------------------------------

    def _ready(self, worker: Worker, how: ReadinessEvent) -> None:
        if worker.readiness.state is ReadinessState.READY:
            return  # it was seen before it said so
        worker.readiness.on(how)
        self.is_proven = True
        core = self._core
        worker.memory.peak = read_peak(worker.pid)  # of one that dies of its first item
        with worker.io:
            unsolicited = worker.unsolicited_output()
            if not worker.protocol.answers_by_exit:
                worker.stderr.take()  # what it wrote at its start is no item's
        if (
            unsolicited and worker.readiness.dialogue is None
        ):  # its last words belong to the dialogue
            self._hub.report_unsolicited(worker, unsolicited)
            core.decide(partial(core.scheduler.kill, worker.id, ExitReason.WROTE_UNASKED))
            return
        with core.lock:
            started_at = core.scheduler.slots[worker.id].started_at
        now = monotonic()
        self._hub.publish(events.WorkerBecameReady(now, worker.id, worker.pid, now - started_at))
        proven = not worker.trial.is_foreign
        core.decide(partial(core.scheduler.ready, worker.id, proven=proven))

    def _end_garbled(self, worker: Worker) -> None:
        """What it said makes no sense."""
        reason = ExitReason.GARBLED_START
        self._core.decide(partial(self._core.scheduler.kill, worker.id, reason))
