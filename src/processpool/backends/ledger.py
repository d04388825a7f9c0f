"""The batches that are on their way: each counts once, with the first result that comes of it.

Pure: no lock, no thread, no clock, nothing of Dask.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processpool.core.jobs import Batch, Job


@dataclass(eq=False, slots=True)
class Sent:
    """A batch that was sent."""

    number: int
    batch: Batch
    cost: float
    """The places that it takes on a node: 1, or less if it occupies few workers."""
    node: str = ""
    """The address of the only node that may do it; empty if any may."""
    life: str = ""
    """The life of that node."""
    times: int = 0
    """How often it was sent."""
    losses: int = 0
    """How many nodes were lost since."""
    is_suspect: bool = False
    """It may be what has killed nodes, so nothing else is on its way."""


class Ledger:
    """All batches on their way."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._sent: dict[int, Sent] = {}
        self.items = 0
        """The number of their items."""

    def __len__(self) -> int:
        return len(self._sent)

    def enter(
        self, batch: Batch, cost: float, node: tuple[str, str] = ("", ""), *, suspect: bool = False
    ) -> Sent:
        """Note that a batch is sent: to a node, by address and life, or to any."""
        sent = Sent(next(self._numbers), batch, cost, *node, is_suspect=suspect)
        self._sent[sent.number] = sent
        self.items += len(batch)
        return sent

    def settle(self, number: int) -> Sent | None:
        """Take a batch whose result has come; None if one has come before, or nobody wants it."""
        sent = self._sent.pop(number, None)
        if sent is not None:
            self.items -= len(sent.batch)
        return sent

    def find(self, number: int) -> Sent | None:
        """Return a batch that is on its way; None if it is not."""
        return self._sent.get(number)

    def used(self, node: str | None = None) -> float:
        """Return the places that are taken: all, or those of one node."""
        return sum(s.cost for s in self._sent.values() if node is None or s.node == node)

    def of(self, job: Job) -> list[Sent]:
        """Return the batches of a job."""
        return [sent for sent in self._sent.values() if sent.batch.job is job]

    def meant_for(self, node: str) -> list[Sent]:
        """Return the batches that only this node may do."""
        return [sent for sent in self._sent.values() if sent.node == node]

    def all(self) -> list[Sent]:
        """Return all batches, the oldest first."""
        return list(self._sent.values())
