"""The handling of unsolicited output: what a worker writes to its stdout without a request."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from processpool.core.exit_reason import ExitReason
from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.event_hub import EventHub
    from processpool.engine.workers.worker import Worker


def on_unsolicited(core: Core, dispatcher: Dispatcher, hub: EventHub, worker: Worker) -> bool:
    """Handle the stdout of a worker without a request, which is readable; call it holding `io`.

    Returns:
        True if there was no output, but the worker has closed its stdout.
    """
    with core.lock:
        slot = core.scheduler.slots.get(worker.id)
        state = None if slot is None else slot.state
        if state is WorkerState.BUSY:
            return False  # the thread that is about to write to it checks for this first
        if state is not WorkerState.IDLE:
            dispatcher.unwatch(worker)
            return False
    unsolicited = worker.unsolicited_output()
    if unsolicited:
        core.loop.post(partial(_end_unsolicited, core, hub, worker, unsolicited))
        return False
    return worker.has_ended


def _end_unsolicited(core: Core, hub: EventHub, worker: Worker, unsolicited: bytes) -> None:
    hub.report_unsolicited(worker, unsolicited)
    core.decide(partial(core.scheduler.kill, worker.id, ExitReason.WROTE_UNASKED))
