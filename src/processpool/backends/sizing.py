"""How many items travel to a node together: as many as it does in a batch's time.

The first batch of a job is small, as nothing is known yet. The number grows step by step and
shrinks at once, so that slow items are spread over all nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from processpool.backends.messages import size_of

if TYPE_CHECKING:
    from processpool.core.jobs import Batch, Job

MAX_GROWTH = 8
"""The greatest factor by which batches grow in one step."""
DECAY = 0.5
"""The factor by which a slow estimate decays with each new measurement."""
SMALLEST_SHARE = 8
"""A batch is made smaller by up to this factor, so that each node has some of the last items."""

REMEMBERED = 256
"""The most maps whose pace is remembered; one that was forgotten begins again."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large a batch may be."""

    target: float
    """Seconds that a node should take for it."""
    max_items: int
    max_bytes: int


@dataclass(slots=True)
class _Pace:
    count: int
    seconds_each: float = 0.0


class Sizes:
    """The sizes of the batches of each job."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._paces: dict[int, _Pace] = {}
        """By the numbers of maps; a single request has none."""

    def learn(self, job: Job, items: int, seconds: float) -> None:
        """Update the estimate: a node took so many seconds for so many items of a job."""
        pace = self._paces.get(job.number)
        if pace is None or not items:
            return
        pace.seconds_each = max(seconds / items, pace.seconds_each * DECAY)
        wanted = int(self._limits.target / max(pace.seconds_each, 1e-9))
        pace.count = max(min(wanted, pace.count * MAX_GROWTH, self._limits.max_items), 1)

    def next(self, batch: Batch, queued: int, nodes: int, workers: int) -> int:
        """Return how many items of a batch to send.

        Args:
            batch: what is first in the queue.
            queued: how many items of its job wait.
            nodes: how many nodes there are.
            workers: how many workers a node has.
        """
        number = batch.job.number
        if not number:
            return 1
        pace = self._paces.get(number)
        if pace is None:
            while len(self._paces) >= REMEMBERED:
                del self._paces[next(iter(self._paces))]
            pace = self._paces[number] = _Pace(max(workers, 1))
        share = -(-queued // max(nodes, 1))
        most = min(pace.count, max(share, pace.count // SMALLEST_SHARE, 1), len(batch))
        return self._by_bytes(batch, most)

    def _by_bytes(self, batch: Batch, most: int) -> int:
        left = self._limits.max_bytes
        for count in range(most):
            left -= size_of(batch.items[batch.lo + count])
            if left < 0:
                return max(count, 1)
        return most
