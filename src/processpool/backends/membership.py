"""What nodes tell, and what follows from their coming and going; on the pump's thread."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.backends.messages import unpack
from processpool.backends.nodes import SETTLED, Node
from processpool.core import events
from processpool.core.states import PoolEvent, PoolState
from processpool.errors import NodeLost, PoolBroken

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.backends.pump import Pump
    from processpool.backends.receiver import Receiver
    from processpool.backends.work import Work
    from processpool.engine.event_hub import EventHub

log = logging.getLogger("processpool")

TOO_MANY = 2
"""So many losses make a batch suspicious, or convict one that was alone."""
FETCHING = 0.5
"""Seconds that it may take to fetch a result when a node was lost. Dask tries for much longer to
reach a node that had results, and meanwhile those of other nodes wait with them."""
LOOKS = 4
"""How often that is looked at: Dask may learn of a loss before what it fetches has failed."""


class Membership:
    """What is done about news of nodes."""

    def __init__(
        self,
        work: Work,
        pump: Pump,
        hub: EventHub,
        results: Receiver,
        go_on: Callable[[], None],
        send_again: Callable[[list[int]], None],
    ) -> None:
        """`go_on` is called when more can be sent, `send_again` for what may never arrive."""
        self._work = work
        self._pump = pump
        self._hub = hub
        self._results = results
        self._go_on = go_on
        self._send_again = send_again

    def hear(self, message: dict[str, Any]) -> None:
        """A node has told something."""
        nodes, now = self._work.nodes, monotonic()
        if "failed" in message:
            self._refuse(message["failed"], message["why"])
        elif message.get("ready"):
            node = Node(
                message["node"],
                message["life"],
                message["name"],
                message["host"],
                message["workers"],
                now,
                since=now,
            )
            with self._work.lock:
                is_first = not nodes.ready
                nodes.add(node)
                waiting = [sent.number for sent in self._work.ledger.all()]
                self._work.lock.notify_all()
            if self._results.connection is not None:
                self._results.connection.stop_calling()
                self._results.errands.greet(node.address)
            if is_first:  # Dask does not look again at what waited when a node offers places
                self._send_later(waiting)
            self._go_on()
            self._pump.later(SETTLED, self._go_on)
        elif "errand" in message:
            self._results.errands.hear(message["node"], message["errand"], message["answer"])
        elif "shot" in message:
            self._see(message, now)

    def _send_later(self, numbers: list[int]) -> None:
        """Send again what found no node, but spare nodes that are new what may end them."""
        with self._work.lock:
            suspects = [sent.number for sent in self._work.ledger.all() if sent.is_suspect]
        if suspects:
            self._pump.later(SETTLED, partial(self._send_again, suspects))
        self._send_again([number for number in numbers if number not in suspects])

    def _see(self, message: dict[str, Any], now: float) -> None:
        known = self._work.nodes.ready.get(message["node"])
        if known is None or known.life != message["life"]:
            return
        _, workers, happened = unpack(message["shot"])
        with self._work.lock:
            known.seen, known.shots = now, workers
            self._work.lock.notify_all()
        for before, event in happened:
            if isinstance(event, events.WorkerEvent | events.WorkerFailedToStart):
                self._hub.publish(_told(event, now - before, self._number(known, event.worker_id)))

    def _number(self, node: Node, number: int) -> int:
        return self._work.nodes.worker_id(node.life, number)

    def _refuse(self, address: str, why: str) -> None:
        log.warning("%s; it gets no work", why)
        with self._work.lock:
            self._work.nodes.fail(address, why)
            self._work.lock.notify_all()
        self._hub.remember(why, 0, None)
        if self._work.state in (PoolState.OPEN, PoolState.PAUSED) and not self._work.nodes.ready:
            self.break_pool("no node can run the pool any more: " + why)

    def break_pool(self, reason: str) -> None:
        """Let the pool take no work, and end what there is."""
        if self._work.state in (PoolState.OPEN, PoolState.PAUSED):
            self._work.reason = reason
            self._work.change(PoolEvent.BROKE)
            self._hub.publish(events.PoolBroke(monotonic(), reason))
        for batch in self._work.clear():
            batch.job.drop(batch, PoolBroken(reason))
        self._results.give_up(self._work.ledger.all(), lambda: PoolBroken(reason))

    def lose(self, address: str) -> None:
        """A node has left."""
        work = self._work
        with work.lock:
            lost = work.ledger.meant_for(address)
            node = work.nodes.ready.get(address)
            where = work.nodes.where(address)
        self._results.give_up(
            lost,
            lambda: NodeLost(
                f"{where} was lost while it had this item, which may have run or not; with "
                "backend.on_node_loss: retry it is done again on another node"
            ),
        )
        with work.lock:
            work.nodes.remove(address)
            work.lock.notify_all()
        if node is not None:
            log.info("%s has left", where)
            for shot in node.shots:
                number = self._number(node, shot[0])
                self._hub.publish(
                    events.WorkerExited(monotonic(), number, shot[1], 0, "its node has left", "")
                )
        self._look_for_culprits()
        self._look_for_overdue(frozenset(), frozenset(), LOOKS)
        self._go_on()

    def _look_for_overdue(self, known: frozenset[int], again: frozenset[int], looks: int) -> None:
        """Send once more what was already being fetched the last time; then look again, later."""
        connection = self._results.connection
        if connection is None:
            return
        fetched = connection.being_fetched - again
        overdue = fetched & known
        if overdue:
            self._send_again(sorted(overdue))
        if looks:
            arguments = fetched - overdue, again | overdue, looks - 1
            self._pump.later(FETCHING, partial(self._look_for_overdue, *arguments))

    def _look_for_culprits(self) -> None:
        """Count a loss against what is on its way: Dask forgets its own count with a key."""
        with self._work.lock:
            sent = self._work.ledger.all()
        for one in sent:
            one.losses += 1
            if (
                one.losses if one.is_suspect else one.times
            ) >= TOO_MANY and self._results.connection:
                self._results.connection.cancel([one.number])
                self._results.suspect(one.number, RuntimeError(f"{one.losses} nodes were lost"))


def _told(event: Any, at: float, number: int) -> events.Event:
    told: events.Event = replace(event, at=at, worker_id=number)
    return told
