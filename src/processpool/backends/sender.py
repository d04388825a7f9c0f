"""Sends batches to the cluster; on the pump's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.backends.connection import Parcel
from processpool.backends.messages import order_of, pack

if TYPE_CHECKING:
    from processpool.backends.connection import Connection
    from processpool.backends.ledger import Sent
    from processpool.backends.work import Work


class Sender:
    """Sends what has a place."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.connection: Connection | None = None
        """The connection to the cluster, once there is one."""
        self.lacking: set[int] = set()
        """Functions that a node has asked for, so that they travel with every batch."""

    def send_all(self) -> None:
        """Send all that has a place; on the pump's thread."""
        sent: list[Sent] = []
        while (one := self._work.take_next()) is not None:
            sent.append(one)
        connection = self.connection
        if connection is None:
            return
        if sent:
            connection.send([self._packed(one) for one in sent])
        elif self._work.waits_for_nodes:
            connection.call_for_nodes()

    def send_again(self, numbers: list[int]) -> None:
        """Send those of these batches again that have not arrived: the first result counts."""
        with self._work.lock:
            found = [self._work.ledger.find(number) for number in numbers]
        again = [self._packed(one) for one in found if one is not None and not one.node]
        if again and self.connection is not None:
            self.connection.send(again)

    def _packed(self, sent: Sent) -> Parcel:
        task = sent.batch.job.task
        asked = task is not None and task.function.number in self.lacking
        order = order_of(sent.number, sent.batch, with_function=asked)
        order.life = sent.life
        order.errands = list(self._work.errands)
        sent.times += 1
        return Parcel(sent.number, pack(order), sent.cost, sent.node, sent.times)
