"""The nodes of a pool, as far as its own process knows them from what they tell.

Workers are numbered through here, as each node counts its own from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from processpool.core.snapshot import WorkerCounts, WorkerSnapshot
from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from processpool.core.jobs import Origin

SETTLED = 1.0
"""Seconds after which a node is no longer new. Dask's nannies give up a node that dies before."""
STALE = 1.0
"""Seconds without news after which a node's state is stale: three of its ticks were missed."""


@dataclass(eq=False, slots=True)
class Node:
    """One node, with what it has told last."""

    address: str
    life: str
    name: str
    host: str
    workers: int
    """The most workers that it has."""
    seen: float
    """When it was last heard of."""
    shots: list[tuple[Any, ...]] = field(default_factory=list)
    """Its workers at that time, as the fields of snapshots."""
    since: float = 0.0
    """When it was ready."""

    @property
    def label(self) -> str:
        """How users know it."""
        known = self.name if self.name != self.address else self.address.partition("://")[2]
        return f"{self.host}/{known}"


class Nodes:
    """All nodes that are ready, and why others are not."""

    def __init__(self) -> None:
        self.ready: dict[str, Node] = {}
        """By address."""
        self.failed: dict[str, str] = {}
        """What is wrong with nodes that cannot run the pool, by address."""
        self._ids: dict[tuple[str, int], int] = {}
        self._next_id = count(1)
        self._slots: dict[tuple[str, int], int] = {}

    def add(self, node: Node) -> None:
        """A node is ready."""
        self.failed.pop(node.address, None)
        self.ready[node.address] = node

    def fail(self, address: str, why: str) -> None:
        """A node cannot run the pool."""
        self.ready.pop(address, None)
        self.failed[address] = why

    def remove(self, address: str) -> Node | None:
        """A node has left; return it if it was ready."""
        self.failed.pop(address, None)
        node = self.ready.pop(address, None)
        if node is not None:
            self._slots = {key: slot for key, slot in self._slots.items() if key[0] != node.life}
        return node

    def are_settled(self, now: float) -> bool:
        """True if there are nodes, and none is new."""
        nodes = self.ready.values()
        return bool(nodes) and all(now - node.since >= SETTLED for node in nodes)

    @property
    def workers(self) -> int:
        """The most workers of all nodes together."""
        return sum(node.workers for node in self.ready.values())

    @property
    def workers_each(self) -> int:
        """The most workers of a node, on average; 1 if there are no nodes."""
        return max(self.workers // max(len(self.ready), 1), 1)

    @property
    def seen_ready(self) -> int:
        """The workers that are known to be ready."""
        return sum(
            shot[2] is not WorkerState.STARTING
            for node in self.ready.values()
            for shot in node.shots
        )

    def where(self, address: str) -> str:
        """Say which node has this address."""
        node = self.ready.get(address)
        return f"node {address}" if node is None else f"node {address} ({node.label})"

    def found_by(self, number: int) -> tuple[Node, int] | None:
        """Return the node that has a worker, and its number there; None if there is none."""
        for (life, local), known in self._ids.items():
            if known == number:
                for node in self.ready.values():
                    if node.life == life and any(shot[0] == local for shot in node.shots):
                        return node, local
        return None

    def worker_id(self, life: str, number: int) -> int:
        """Return the number of a worker of a node among all."""
        known = self._ids.get((life, number))
        if known is None:
            known = self._ids[life, number] = next(self._next_id)
        return known

    def slot(self, life: str, place: int | None) -> int | None:
        """Return the slot of a node's worker among all; free ones are used again."""
        if place is None:
            return None
        known = self._slots.get((life, place))
        if known is None:
            taken = set(self._slots.values())
            known = next(slot for slot in count() if slot not in taken)
            self._slots[life, place] = known
        return known

    def locate(self, origin: Origin, address: str) -> Origin:
        """Return the origin of answers with the numbers that its worker has among all."""
        node = self.ready.get(address)
        life = address if node is None else node.life
        origin.worker_id = self.worker_id(life, origin.worker_id)
        origin.slot = self.slot(life, origin.slot)
        return origin

    def snapshots(self, now: float) -> tuple[WorkerSnapshot, ...]:
        """Return the workers of all nodes, node by node."""
        return tuple(
            self._freeze(node, shot, now) for node in self.ready.values() for shot in node.shots
        )

    def _freeze(self, node: Node, shot: tuple[Any, ...], now: float) -> WorkerSnapshot:
        worker, since = WorkerSnapshot(*shot), max(now - node.seen, 0.0)
        age = worker.item_age
        return worker._replace(
            id=self.worker_id(node.life, worker.id),
            slot=self.slot(node.life, worker.slot),
            item_age=None if age is None else age + since,
            age=worker.age + since,
            node=node.label,
            stale=since > STALE,
        )

    def counts(self) -> WorkerCounts:
        """Return the numbers of workers by what they do."""
        states = [shot[2] for node in self.ready.values() for shot in node.shots]
        starting = states.count(WorkerState.STARTING)
        idle = states.count(WorkerState.IDLE)
        return WorkerCounts(len(states) - starting - idle, starting + idle, starting)
