"""What comes from the nodes: results of batches, news of nodes, and losses.

Dask's thread only posts what it hears; the pump's thread does what follows from it.
"""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from processpool.backends.errands import ClusterErrands
from processpool.backends.messages import Answers, Result, part_of, received, shifted, unpack
from processpool.core import events
from processpool.core.jobs import Batch, Origin
from processpool.core.replies import PickledReply, Reply, format_reply_error, has_failed
from processpool.errors import NodeLost, PoolBroken, PoolClosed, RequestTimeout, WorkerDied
from processpool.wire.python.layout import ECHOED

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.backends.connection import Connection
    from processpool.backends.ledger import Sent
    from processpool.backends.pump import Pump
    from processpool.backends.sender import Sender
    from processpool.backends.work import Work
    from processpool.engine.event_hub import EventHub

log = logging.getLogger("processpool")

CATCHING_UP = 0.02
"""Seconds after which a batch is sent again that came to a node before an errand."""
_NOT_VALUES = frozenset({Reply, PickledReply})
_NO_ANSWER = (WorkerDied, RequestTimeout, PoolClosed, PoolBroken, CancelledError)


class Hearing(Protocol):
    """What is done about news of nodes, on the pump's thread."""

    def hear(self, message: dict[str, Any]) -> None:
        """A node has told something."""

    def lose(self, address: str) -> None:
        """A node has left."""

    def break_pool(self, reason: str) -> None:
        """Let the pool take no work, and end what there is."""


class Receiver:
    """Hears from the cluster, and hands answers to their jobs."""

    def __init__(
        self,
        work: Work,
        pump: Pump,
        hub: EventHub,
        sender: Sender,
    ) -> None:
        """Begin without a connection."""
        self._work = work
        self._pump = pump
        self._hub = hub
        self._sender = sender
        self._go_on = sender.send_all
        self.membership: Hearing
        """What is done about news of nodes."""
        self.errands = ClusterErrands(work, self)
        """What all workers do first."""
        self.connection: Connection | None = None
        """The connection to the cluster, once there is one."""

    # -- on Dask's thread --------------------------------------------------------------------------

    def on_result(self, number: int, data: bytes) -> None:
        """The result of a batch has come."""
        self._pump.post(partial(self._take, number, data))

    def on_killed(self, number: int, error: BaseException) -> None:
        """Too many nodes were lost while they had this batch."""
        self._pump.post(partial(self.suspect, number, error))

    def on_trouble(self, number: int, error: BaseException) -> None:
        """A node could not so much as begin this batch."""
        self._pump.post(partial(self._again, number, str(error)))

    def on_lost(self, number: int) -> None:
        """Dask has forgotten this batch."""
        self._pump.post(partial(self._again, number, ""))

    def on_event(self, message: dict[str, Any]) -> None:
        """A node has told something."""
        self._pump.post(partial(self.membership.hear, message))

    def on_left(self, address: str) -> None:
        """A node has left."""
        self._pump.post(partial(self.membership.lose, address))

    # -- results -----------------------------------------------------------------------------------

    def _take(self, number: int, data: bytes) -> None:
        sent = self._settle(number)
        if sent is None:
            return
        result: Result = unpack(data)
        batch = sent.batch
        if result.is_another:
            self._fail(batch, self._lost(sent))
        elif result.lacks_function:
            self._sender.lacking.add(batch.job.task.function.number)
            self._work.put_back(batch)
        elif result.lacks_errand:
            self._work.put_back(batch)
            self.errands.greet(result.node)
            self._pump.later(CATCHING_UP, self._go_on)
            return
        else:
            self._work.sizes.learn(batch.job, len(batch), result.seconds)
            self.hand_out(batch, result)
        self._go_on()

    def _settle(self, number: int) -> Sent | None:
        with self._work.lock:
            sent = self._work.ledger.settle(number)
        if sent is not None and self.connection is not None:
            self.connection.forget(number)
        return sent

    def hand_out(self, batch: Batch, result: Result) -> None:
        """Hand the answers of a node to the job; what it has not begun goes to another one."""
        where = self._work.nodes.where(result.node)
        job, now = batch.job, monotonic()
        if job.task is not None and job.task.style & ECHOED:
            for number, printed in result.printed:
                job.echo(number, printed)
        for run in result.runs:
            part = part_of(batch, run, where, now)
            answers = _answers(run, where)
            origin = self._work.nodes.locate(shifted(run.origin, now), result.node)
            self._deliver(part, answers, origin)
        for offset, count in result.dropped:
            _, rest = batch.split(offset)
            part, _ = rest.split(count)
            if job.cancelled:
                job.drop(part, None)
            else:
                self._work.put_back(part)
        batch.forget()

    def _deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        failures = (
            []
            if origin.plain
            else [
                (index, each) for index, each in enumerate(answers, batch.start) if has_failed(each)
            ]
        )
        self._work.count(batch)
        unanswered = [(at, answer) for at, answer in failures if _has_none(answer)]
        if self._hub.has_listeners and len(unanswered) < len(batch):
            failed = len(failures) - len(unanswered)
            self._hub.publish(events.ItemsFinished.of(batch, origin, failed))
        for _, answer in failures[-1:]:
            text = format_reply_error(answer)
            self._hub.remember(text, origin.worker_id, None, origin.stderr)
        for at, answer in unanswered if self._hub.has_listeners else ():
            who = origin.until, origin.worker_id, origin.pid
            self._hub.publish(events.ItemFailed(*who, at, format_reply_error(answer)))
        batch.job.deliver(batch, answers, origin)

    # -- losses ------------------------------------------------------------------------------------

    def suspect(self, number: int, error: BaseException) -> None:
        """Have a batch tried alone, or in halves; a single item that was alone has failed."""
        sent = self._settle(number)
        if sent is None:
            return
        batch = sent.batch
        if not sent.is_suspect:
            batch.attempts -= 1
            self._work.suspect(batch)
        elif len(batch) > 1:
            batch.attempts -= 1
            for half in batch.split(len(batch) // 2):
                self._work.suspect(half)
        else:
            self._fail(
                batch,
                NodeLost(
                    "every node that had this item was lost, several in a row, and nothing else "
                    f"was running there: the item ends its node ({first_line(error)})"
                ),
            )
        self._go_on()

    def _again(self, number: int, why: str) -> None:
        sent = self._settle(number)
        if sent is None:
            return
        if sent.node and not why:
            self._fail(sent.batch, self._lost(sent))
        else:
            self._work.put_back(sent.batch)
            if why:
                log.warning("%s; its batch goes to another node", why)
        self._pump.later(0.1, self._go_on)

    def _lost(self, sent: Sent) -> NodeLost:
        return NodeLost(
            f"{self._work.nodes.where(sent.node)} was lost while it had this item, which may have "
            "run or not; with backend.on_node_loss: retry it is done again on another node"
        )

    def _fail(self, batch: Batch, error: BaseException) -> None:
        now = monotonic()
        origin = Origin(0, 0, batch.sent_at, now, plain=False, failed=len(batch))
        self._deliver(batch, [Reply(error=_copy_of(error)) for _ in range(len(batch))], origin)

    def give_up(self, sent: list[Sent], error: Callable[[], BaseException]) -> None:
        """End batches that are on their way, with an error."""
        for one in sent:
            if self._settle(one.number) is not None:
                self._fail(one.batch, error())


def _answers(run: Answers, where: str) -> list[Any]:
    if _NOT_VALUES.isdisjoint(map(type, run.answers)):
        return run.answers
    return [received(answer, where) for answer in run.answers]


def _has_none(answer: Any) -> bool:
    """True if a failure is not what the item itself has come to."""
    return type(answer) is Reply and isinstance(answer.error, _NO_ANSWER)


def first_line(error: BaseException) -> str:
    """Return what an error says first."""
    return str(error).partition("\n")[0]


def _copy_of(error: BaseException) -> BaseException:
    return type(error)(*error.args)
