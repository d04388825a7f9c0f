"""The short way of answers that come several at a time, to requests that were sent ahead.

As in `Receiver.on_answer`, all is in one place, since each step more costs each item its share; and
what is not as usual changes nothing here, and goes the long way.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core.jobs import Origin
from processpool.engine.answered import Answered
from processpool.engine.workers.attribution import Lateness

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.peaks import Peaks
    from processpool.engine.workers.worker import Worker


def take_run(
    core: Core, dispatcher: Dispatcher, peaks: Peaks, worker: Worker
) -> list[Answered] | None:
    """With the worker's `io`: take the answers that were read, and send the worker as many items.

    Returns:
        what is to be handed out; None if nothing was done, as something is not as usual.
    """
    protocol = worker.protocol
    values = protocol.plain_values(protocol.early) if _is_usual(core, worker) else None
    if values is None:
        return None
    now = monotonic()
    if now >= worker.memory.due:
        peaks.look(worker, now, len(values))
    with core.lock:
        if worker.outbox:  # put there since the look: what is sent here must not overtake it
            return None
        slot = core.scheduler.slots[worker.id]
        since = slot.since
        step = core.scheduler.follow_run(slot, len(values), now)
        if step is None:
            return None
        ended, following = step
        if following is not None:
            following.job.begin()
        if slot.deadline is not None:
            dispatcher.plan_timer()
        core.lock.notify_all()
    protocol.early = []
    worker.tally.settle(ended[0], since)
    origin = Origin(worker.id, worker.pid, since, now, each=protocol.seconds_each)
    origin.slot, origin.skipped = worker.place, protocol.take_skipped()
    origin.peak_memory, origin.memory = worker.memory.peak, worker.memory.take()
    if following is not None and not protocol.send_batch(following):
        core.loop.post(partial(dispatcher.write, worker))
    if len(ended) == 1:
        return [Answered(ended[0], values, origin)]
    source = iter(values)
    return [Answered(batch, list(islice(source, len(batch))), origin) for batch in ended]


def _is_usual(core: Core, worker: Worker) -> bool:
    """True if nothing is to be seen to but the answers that were just read."""
    protocol, attribution, ahead = worker.protocol, worker.attribution, worker.prefetching
    if not protocol.answers_in_runs or worker.trial.left:
        return False
    if worker.outbox or worker.recalls or worker.freed_shares:
        return False
    if attribution.held is not None or (ahead is not None and not ahead.is_watched):
        return False
    if protocol.fault() is not None or worker.has_ended or not protocol.is_clean:
        return False
    if attribution.state is not Lateness.PROMPT and core.scheduler.policy.window == 1:
        return False
    return not (worker.stderr.read() or worker.stderr.unclaimed)
