"""Answers of a worker on the short way, which are noted in its map's record a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processpool.core.jobs import Batch
    from processpool.engine.workers.memory_watch import MemoryWatch


PERIOD = 0.005
"""Seconds of answers that are noted together."""


class Tally:
    """How many items of one map a worker has answered since the last note, without a pause."""

    __slots__ = ("_memory", "count", "due", "place", "since", "worker_id")

    def __init__(self, worker_id: int, memory: MemoryWatch) -> None:
        self.worker_id = worker_id
        self._memory = memory
        self.place = 0
        """What users know as the worker's slot."""
        self.count = 0
        self.due = 0.0
        """When they are to be noted."""
        self.since = 0.0
        """When the first of them began, if there are several."""

    def settle(self, running: Batch, since: float) -> None:
        """Note them, since what comes now goes another way.

        Args:
            running: what the worker has now.
            since: when that began.
        """
        if self.count:
            index = running.start - self.count
            self._note(running, index, self.since, since)
        self.due = 0.0

    def hand_over(
        self, batch: Batch, index: int, since: float, now: float, *, goes_on: bool
    ) -> None:
        """Note them: it is time, or the worker goes on with something else.

        Args:
            batch: that of the last item.
            index: the last item.
            since: when it began.
            now: when it ended.
            goes_on: whether the worker has its next item already.
        """
        begin = since if self.count == 1 else self.since
        self._note(batch, index - self.count + 1, begin, now)
        self.since = now
        self.due = now + PERIOD if goes_on else 0.0

    def _note(self, batch: Batch, index: int, since: float, until: float) -> None:
        count, self.count = self.count, 0
        wait = since - batch.queued_at
        first, memory = max(index, 0), self._memory.take()
        batch.job.note_run(self.place, self.worker_id, first, count, since, until, wait, memory)
