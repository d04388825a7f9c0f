"""What every worker of a cluster does first: broadcasts, also on nodes that join later.

    broadcast ──▶ every node ──▶ its engine ──▶ each of its workers, those to come included
                   ▲   └──▶ what those have returned that are there now
    a node joins ──┘

Each batch names the errands that come before it, and a node that lacks one sends the batch back.
"""

from __future__ import annotations

from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from processpool.backends.address import said
from processpool.backends.messages import Answers, Result, order_of, pack, unpack
from processpool.backends.work import ClusterErrand
from processpool.core.jobs import Batch
from processpool.errors import PoolBroken

if TYPE_CHECKING:
    from processpool.backends.connection import Connection
    from processpool.backends.work import Work
    from processpool.core.jobs import Job

LATER = 1 << 40
"""The index of what a worker has returned that was not there at the beginning."""


class Receiving(Protocol):
    """What the answers of nodes are given to."""

    connection: Connection | None

    def hand_out(self, batch: Batch, result: Result) -> None:
        """Hand the answers of a node to the job."""


class ClusterErrands:
    """Sends errands to nodes, and hands their answers to who has asked for them."""

    def __init__(self, work: Work, receiver: Receiving) -> None:
        self._work = work
        self._receiver = receiver
        self._numbers = count(1)

    @property
    def _connection(self) -> Connection:
        connection = self._receiver.connection
        assert connection is not None
        return connection

    def broadcast(self, job: Job, payload: Any) -> int:
        """Have every worker run an item of a job, also those that come later; wait for those there.

        A node that is lost meanwhile counts as one that has no workers.

        Returns:
            how many workers there are now: their items have the first indexes, node by node.

        Raises:
            PoolClosed, PoolBroken: the pool takes no work any more.
        """
        work, number = self._work, next(self._numbers)
        data = pack(order_of(number, Batch(job, 0, (payload,), monotonic()), with_function=True))
        with work.lock:
            work.require_open()
            others = {n: one for n, one in work.errands.items() if not one.does_what(job, payload)}
            work.errands = {**others, number: ClusterErrand(job, payload, data)}
        try:
            asked = self._connection.ask(data, self._wake)
            work.lock.wait_for(lambda: asked.done() or work.state_error() is not None)
            work.require_open()
        except BaseException:  # interrupted, or closed: the workers to come are spared
            self.forget(job)
            raise
        error = asked.exception()
        if error is not None:
            raise PoolBroken(f"the nodes of the cluster were not reached: {said(error)}")
        return self._hand_out(job, payload, asked.result())

    def _wake(self) -> None:
        with self._work.lock:
            self._work.lock.notify_all()

    def _hand_out(self, job: Job, payload: Any, found: dict[str, Any]) -> int:
        for answer in found.values():
            if isinstance(answer, Exception) and not isinstance(answer, OSError):
                raise answer
        order = list(self._work.nodes.ready)
        nodes = [address for address in order if type(found.get(address)) is bytes]
        total = 0
        for address in nodes:
            result: Result = unpack(found[address])
            workers = len(result.runs) + len(result.dropped)
            batch = Batch(job, total, (payload,) * workers, monotonic())
            gone, result.dropped = result.dropped, []
            self._receiver.hand_out(batch, result)
            for offset, _ in gone:
                job.drop(Batch(job, total + offset, (payload,), monotonic()), None)
            total += workers
        return total

    def forget(self, job: Job) -> bool:
        """Spare the workers to come an errand; return False if the job is none of these."""
        work = self._work
        with work.lock:
            numbers = [number for number, one in work.errands.items() if one.job is job]
            work.errands = {n: one for n, one in work.errands.items() if n not in numbers}
        for number in numbers:
            self._connection.tell("forget", number)
        return bool(numbers)

    def greet(self, node: str) -> None:
        """A node has joined, or lacks an errand: it does first whatever all are to do."""
        errands = [errand.data for errand in self._work.errands.values()]
        if errands:
            self._connection.tell("catch_up", errands, node=node)

    def hear(self, node: str, number: int, data: bytes) -> None:
        """An errand has failed in a worker that was started later."""
        errand = self._work.errands.get(number)
        if errand is not None:
            run: Answers = unpack(data)
            batch = Batch(errand.job, LATER, (errand.payload,), monotonic())
            self._receiver.hand_out(batch, Result(number, node, runs=[run]))
