"""Where the answer of an item goes: to its job, or nowhere if the item is to be done once more."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core import events
from processpool.core.jobs import Batch, Origin, Retirement
from processpool.core.replies import Reply, asks_to_retire, format_reply_error, has_failed
from processpool.core.terms import NEVER
from processpool.errors import Retire

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.event_hub import EventHub
    from processpool.engine.workers.worker import Worker

RETIREMENTS = 5
"""Workers that an item may have replaced; then it fails."""


class Answered(NamedTuple):
    """Items of one job, their answers, and where these come from."""

    batch: Batch
    answers: list[Any]
    origin: Origin


def hand_out(core: Core, hub: EventHub, worker: Worker, ended: Answered, retires: bool) -> None:
    """Give answers to their job, but for the errors after which an item is done once more.

    `retires` says that some of them may ask for another worker.
    """
    batch, answers, origin = ended
    if hub.has_listeners:
        failed = 0 if origin.plain else sum(map(has_failed, answers))
        hub.publish(events.ItemsFinished.of(batch, origin, failed))
    retries = batch.job.terms.retries or core.scheduler.policy.retries
    retried = not origin.plain and "error" in retries.on
    retires = retires and not batch.job.is_errand and batch.job.terms.retries is not NEVER
    if not (retires or retried):
        _end(worker, batch, answers, origin)
        return
    for answer in answers:
        one, batch = batch.split(1)
        if retires and asks_to_retire(answer):
            _pass_on(core, hub, worker, Answered(one, [answer], origin))
        elif not (retried and _tried_again(core, one, answer, origin)):
            _end(worker, one, [answer], origin)


def may_retire(one: Batch) -> bool:
    """True if one more worker may be replaced for an item."""
    return sum(type(attempt) is Retirement for attempt in one.history) < RETIREMENTS - 1


def asked_too_often(said: str) -> Retire:
    """Return the error of an item whose workers have all asked for another one.

    Args:
        said: what the last one said.
    """
    return Retire(
        f"{RETIREMENTS} workers were replaced for the item, each of which had raised "
        f"processpool.Retire; the last said: {said or 'nothing'}"
    )


def _end(worker: Worker, batch: Batch, answers: list[Any], origin: Origin) -> None:
    """Deliver answers for good, and let go of what was asked."""
    batch.job.deliver(batch, answers, origin)
    if not worker.outbox:  # otherwise it may have answered what is still to be written
        batch.forget()


def _tried_again(core: Core, one: Batch, answer: Any, origin: Origin) -> bool:
    """True if the item has failed, and will be tried again."""
    if not has_failed(answer):
        return False
    attempt = one.attempt(0, answer, origin)
    with core.lock:
        again = core.scheduler.retry(one, "error", origin.until)
        if again:
            one.history = (*one.history, attempt)
    if again:
        core.execute(())
    return again


def _pass_on(core: Core, hub: EventHub, worker: Worker, ended: Answered) -> None:
    """Give an item that asks for another worker to one; unless it has asked too often."""
    one, (answer,), origin = ended
    if may_retire(one):
        one.history = (*one.history, Retirement.of(one.attempt(0, answer, origin)))
        core.decide(partial(core.scheduler.passed_on, one))
        return
    said = format_reply_error(answer).partition(": ")[2]
    error = asked_too_often(said)
    with core.lock:
        core.scheduler.failures += 1
    hub.remember(f"Retire: {error}", worker.id, worker, origin.stderr)
    reply = Reply(error=error, stdout=answer.stdout, stderr=answer.stderr)
    origin.plain = False
    _end(worker, one, [reply], origin)
