"""Answers of a worker on the short way, which are noted in its map's record a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.core.run_record import shortest_stretch

if TYPE_CHECKING:
    from processpool.core.jobs import Batch
    from processpool.engine.workers.memory_watch import MemoryWatch

PERIOD = 0.005
"""Seconds of answers that are noted together, at least: with many workers there are more, as each
has fewer answers in the same time, and they would be joined anyway."""


class Tally:
    """How many items of one map a worker has answered since the last note, without a pause."""

    __slots__ = ("_memory", "count", "due", "period", "place", "since", "worker_id")

    def __init__(self, worker_id: int, memory: MemoryWatch) -> None:
        self.worker_id = worker_id
        self._memory = memory
        self.place = 0
        """What users know as the worker's slot."""
        self.period = PERIOD
        """Seconds of answers that are noted together; a slower one is noted by itself."""
        self.count = 0
        self.due = 0.0
        """When they are to be noted."""
        self.since = 0.0
        """When the first of them began, if there are several."""

    def sit(self, place: int, slots: int) -> None:
        """The worker has this slot, of so many."""
        self.place = place
        self.period = max(PERIOD, shortest_stretch(slots))

    def settle(self, running: Batch, since: float) -> None:
        """Note them, since what comes now goes another way.

        Args:
            running: what the worker has now.
            since: when that began.
        """
        count, self.count = self.count, 0
        if count:
            self._note(running, running.start - count, count, self.since, since)
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
        before, self.count = self.count - 1, 0
        begin = self.since if before else since
        if before and now - since >= self.period:  # a slow one: it is told from those before it
            self._note(batch, index - before, before, begin, since)
            before, begin = 0, since
        self._note(batch, index - before, before + 1, begin, now)
        self.since = now
        self.due = now + self.period if goes_on else 0.0

    def _note(self, batch: Batch, index: int, count: int, since: float, until: float) -> None:
        wait = since - batch.queued_at
        first, memory = max(index, 0), self._memory.take()
        batch.job.note_run(self.place, self.worker_id, first, count, since, until, wait, memory)
