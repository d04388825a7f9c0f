"""Maps as the displays see them: those in progress, and the last few that have ended.

`MapJob` is what every kind of map has in common: `mapping` has those of the pool, `aio` those of an
event loop, `executors.mapping` those of an executor.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core.batch_size import Pace
from processpool.core.jobs import Job
from processpool.core.snapshot import MapSnapshot

if TYPE_CHECKING:
    from processpool.core.jobs import Batch, Origin
    from processpool.engine.local import Engine
    from processpool.wire.python.functions import Task

KEPT = 3
"""Maps that are remembered when they have ended."""
WORTH_KEEPING = 0.25
"""Seconds that one must have taken for that, unless it was cut off or its progress asked for."""

_numbers = count(1)


class Maps:
    """The maps of one pool."""

    def __init__(self) -> None:
        self.running: dict[int, MapJob] = {}
        """Those in progress, by number."""
        self.ended: deque[MapSnapshot] = deque(maxlen=KEPT)
        """The last few that have ended, the newest last."""


class MapJob(Job):
    """A job of many items, whose progress can be seen, and which can be stopped from outside."""

    def __init__(
        self,
        engine: Engine,
        task: Task | None,
        timeout: float | None,
        *,
        total: int | None = None,
        progress: bool | str = False,
        buffersize: int | None = None,
    ) -> None:
        """Begin with nothing read.

        Args:
            engine: whose workers do it.
            task: what they are to do, where they must be told.
            timeout: seconds that one item may take; None for no limit.
            total: how many items there will be, if that is known.
            progress: whether the user wants to see it, and under which label.
            buffersize: how many items may be read beyond what was taken, if the user has said.
        """
        super().__init__(timeout, next(_numbers))
        self.task = task
        self.label = progress if isinstance(progress, str) else f"map {self.number}"
        self._engine = engine
        self._total = total
        self._progress = progress
        self._buffersize = buffersize
        self._pace = None if task is None else Pace()
        self.window = None if self._pace is None else self._pace.window
        self._began = monotonic()
        self._read = 0
        """Items that were read from the input."""
        self._outstanding = 0
        """Those of them that have not ended."""
        self._dropped = 0
        """Those that have ended because the map has: they never started, or were ended with it."""
        self._failed = 0
        self._exhausted = False
        """No more items will be read."""

    @abstractmethod
    def stop(self) -> None:
        """End the map from outside: its consumer gets `CancelledError`."""

    def snapshot(self) -> MapSnapshot:
        """How far it is."""
        total = self._total
        if total is None and self._exhausted:
            total = self._read
        done = self._read - self._outstanding - self._dropped
        seconds = monotonic() - self._began
        return MapSnapshot(self.number, self.label, done, self._failed, total, seconds)

    def _ahead(self) -> int:
        """How many items are read before they are needed: enough to keep every worker busy."""
        if self._buffersize is not None:
            return self._buffersize
        capacity = self._capacity()
        return min(2 * capacity, self._engine.max_pending + capacity)

    def _capacity(self) -> int:
        """Items that the workers may have, all of them together."""
        policy = self._engine.scheduler.policy
        return policy.max * (self.window or policy.window)

    def _count_ended(self, items: int, failed: int) -> None:
        """So many items have ended, and so many of them with an error."""
        self._outstanding -= items
        if self.cancelled:  # most likely for that
            self._dropped += failed
        else:
            self._failed += failed

    def _learn_pace(self, batch: Batch, origin: Origin) -> None:
        """Answers have come: how many items may a worker have from now on?"""
        if self._pace is not None:
            seconds = origin.each * len(batch) or origin.until - origin.since
            self._pace.learn(len(batch), seconds)
            self.window = self._pace.window

    def _appear(self) -> None:
        """It is in progress."""
        self._engine.maps.running[self.number] = self

    def _vanish(self) -> None:
        """It has ended; that may be said more than once."""
        maps = self._engine.maps
        if maps.running.pop(self.number, None) is not None:
            last = self.snapshot()
            if self._progress or not last.complete or last.seconds >= WORTH_KEEPING:
                maps.ended.append(last)
