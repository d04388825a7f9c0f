"""When and where the items of a map ran, in columns: a few bytes for each item."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from processpool.core.jobs import Attempt, Batch, Origin


class Row(NamedTuple):
    """What the items of one run of answers have in common; times are monotonic seconds."""

    queued_at: float
    sent_at: float
    since: float
    until: float
    worker_id: int
    pid: int
    slot: int | None
    attempts: int
    peak_memory: int | None


class Rows:
    """The runs of answers of one map, and which item is of which."""

    def __init__(self) -> None:
        self._of_item = array("I")
        """Item → the number of its row, from 1; 0 while it has none."""
        self._times = array("d")
        self._places = array("q")
        self._stderr: dict[int, str] = {}
        self._skipped: dict[int, tuple[Any, ...]] = {}
        self._history: dict[int, tuple[Attempt, ...]] = {}

    def extend(self, count: int) -> None:
        """So many more items were read."""
        self._of_item.frombytes(bytes(self._of_item.itemsize * count))

    def add(self, batch: Batch, origin: Origin) -> None:
        """The items of a batch were answered."""
        self._times.extend((batch.queued_at, batch.sent_at, origin.since, origin.until))
        slot = -1 if origin.slot is None else origin.slot
        peak = origin.peak_memory or 0
        self._places.extend((origin.worker_id, origin.pid, slot, batch.attempts, peak))
        number = len(self._times) // 4
        count = len(batch)
        if count == 1:
            self._of_item[batch.start] = number
        else:
            self._of_item[batch.start : batch.start + count] = array("I", [number]) * count
        if origin.stderr:
            self._stderr[number] = origin.stderr
        if origin.skipped:
            self._skipped[number] = origin.skipped
        if batch.history:
            self._history[number] = batch.history

    def row(self, index: int) -> Row | None:
        """Return the row of an item; None if it has none."""
        number = self._of_item[index]
        if not number:
            return None
        at = 5 * (number - 1)
        worker_id, pid, slot, attempts, peak = self._places[at : at + 5]
        at = 4 * (number - 1)
        queued_at, sent_at, since, until = self._times[at : at + 4]
        place, tries = None if slot < 0 else slot, max(attempts, 1)
        return Row(queued_at, sent_at, since, until, worker_id, pid, place, tries, peak or None)

    def stderr(self, index: int) -> str:
        """Return what was written to stderr meanwhile."""
        return self._stderr.get(self._of_item[index], "")

    def facts(self, index: int) -> dict[str, Any]:
        """Return what the row of an item says, as fields of its `Outcome`."""
        row = self.row(index)
        if row is None:
            return {}
        return {
            "worker_id": row.worker_id or None,
            "pid": row.pid or None,
            "slot": row.slot,
            "attempts": row.attempts,
            "queued": max(row.sent_at - row.queued_at, 0.0),
            "seconds": max(row.until - row.since, 0.0),
            "peak_memory": row.peak_memory,
            "stderr": self.stderr(index),
            "skipped": self._skipped.get(self._of_item[index], ()),
            "history": tuple(
                attempt.record for attempt in self._history.get(self._of_item[index], ())
            ),
        }
