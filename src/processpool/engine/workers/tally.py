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
        before = self.count - 1
        if not before:
            self._note(batch, index, since, now)
        elif now - since < self.period:
            self._note(batch, index - before, self.since, now)
        else:
            self.count = before
            self._note(batch, index - before, self.since, since)
            self.count = 1
            self._note(batch, index, since, now)
        self.since = now
        self.due = now + self.period if goes_on else 0.0

    def _note(self, batch: Batch, index: int, since: float, until: float) -> None:
        count, self.count = self.count, 0
        wait = since - batch.queued_at
        first, memory = max(index, 0), self._memory.take()
        batch.job.note_run(self.place, self.worker_id, first, count, since, until, wait, memory)
