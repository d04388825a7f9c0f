"""Memory: how many workers may have an item at once, and which of them gives way.

What each worker uses is measured outside. An item is handed to a free worker only if what all
workers use, and what their items are expected to need, leaves room for it. Expected is what most
items of the same function have needed lately; so one that needs much more is let in, and seen as
it grows: over the budget, the youngest running item is taken back. It is held, and runs when there
is room: for what is usual, if it had no more than that; otherwise for as much as the largest item
had, or twice what it had itself; and if it is taken back again, alone.

One item may always run if no other one does. If that is still too much, it fails.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core.exit_reason import ExitReason
from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from processpool.core.fleet import Fleet
    from processpool.core.jobs import Batch, Job
    from processpool.core.slot import Slot
    from processpool.core.work_queue import WorkQueue

HIGH = 0.95
"""The share of the budget that is used at most; above it, an item is taken back."""
RECENT = 64
"""Peaks of a function that are remembered."""
MOST = 0.75
"""The share of a function's items that need no more than is expected of them."""
KINDS = 256
"""Functions whose peaks are remembered."""
LIKE_OTHERS = 1.1
"""An item that was taken back, and had no more than so many times what is usual, only came last."""
PATIENT = 3
"""How often that may be; then it is to run alone."""
ALONE = 1 << 62
"""What an item needs that is to run alone."""
PATIENCE = 30.0
"""Seconds that an item waits for room, while others run; then these wait for it."""

BUSY, STOPPING = WorkerState.BUSY, WorkerState.STOPPING


class Removal(NamedTuple):
    """A worker that is to end for the sake of memory, and why."""

    slot: Slot
    reason: ExitReason


class Budget:
    """The memory of a pool's workers, in bytes, and what is allowed by it."""

    def __init__(self, fleet: Fleet, queue: WorkQueue) -> None:
        self._fleet = fleet
        self._queue = queue
        self._usage: Mapping[int, int] = {}
        self._peaks: dict[int, int] = {}
        """By worker: the most that it had since its current item began."""
        self._learnt: OrderedDict[Any, _Peaks] = OrderedDict()
        self._needs: dict[tuple[Job, int], int] = {}
        """What items need that were taken back, by job and index."""
        self._held_since: dict[tuple[Job, int], float] = {}
        self._times: dict[tuple[Job, int], int] = {}
        """How often they were taken back."""

    # -- what is known ---------------------------------------------------------------------------

    def measured(self, usage: Mapping[int, int]) -> None:
        """Take in what each worker uses now."""
        self._usage = usage
        for worker, used in usage.items():
            if used > self._peaks.get(worker, 0):
                self._peaks[worker] = used

    def began(self, slot: Slot) -> None:
        """A worker begins its next item."""
        self._peaks[slot.id] = self._usage.get(slot.id, 0)

    def peaked(self, slot: Slot, peak: int) -> None:
        """Take in what a worker had at most, as the kernel has it."""
        self._peaks[slot.id] = max(self._peaks.get(slot.id, 0), peak)

    def ended(self, slot: Slot, items: int) -> None:
        """A worker has answered items, before they are taken from what it has."""
        peak = self._peaks.get(slot.id, 0)
        for batch in slot.inflight:
            if items <= 0:
                break
            self._forget(batch)
            if peak:
                self._peaks_of(batch.job).add(peak)
            items -= len(batch)

    def gone(self, slot: Slot) -> None:
        """A worker has ended."""
        self._peaks.pop(slot.id, None)

    def peak(self, slot: Slot) -> int:
        """The most that a worker had since its current item began."""
        return self._peaks.get(slot.id, 0)

    def _forget(self, batch: Batch) -> None:
        if self._needs:
            self._needs.pop((batch.job, batch.start), None)
            self._held_since.pop((batch.job, batch.start), None)
            self._times.pop((batch.job, batch.start), None)

    def _peaks_of(self, job: Job) -> _Peaks:
        kind = None if job.task is None else job.task.function.real.number
        peaks = self._learnt.get(kind)
        if peaks is None:
            peaks = self._learnt[kind] = _Peaks()
            if len(self._learnt) > KINDS:
                self._learnt.popitem(last=False)
        return peaks

    # -- who may begin ---------------------------------------------------------------------------

    def next_held(self, slot: Slot) -> Batch | None:
        """Take an item out of those that wait for room, if there is now room for it."""
        for batch in self._queue.held:
            if self._fits(self._need(batch), slot):
                self._queue.release(batch)
                return batch
        return None

    def admits(self, batch: Batch, slot: Slot, now: float) -> bool:
        """True if there is room for an item that was not held, on this free worker."""
        if self._is_idle:
            return True
        if any(now - since > PATIENCE for since in self._held_since.values()) and self._queue.held:
            return False
        return self._fits(self._need(batch), slot)

    def _fits(self, need: int, slot: Slot) -> bool:
        if self._is_idle:
            return True
        if need >= ALONE or any(self._need(s.inflight[0]) >= ALONE for s in self._busy()):
            return False
        more = max(need - self._usage.get(slot.id, 0), 0)
        return self._expected() + more <= self._limit

    def _need(self, batch: Batch) -> int:
        """What a worker needs for an item."""
        own = self._needs.get((batch.job, batch.start))
        if own is not None:
            return own
        memory = self._fleet.policy.memory
        if memory is not None and memory.per_item is not None:
            return memory.per_item
        return self._peaks_of(batch.job).usual

    def _expected(self) -> int:
        """What all workers use, or are about to."""
        expected = 0
        for slot in self._fleet.slots.values():
            used = self._usage.get(slot.id, 0)
            if slot.state is BUSY and slot.inflight:
                need = self._need(slot.inflight[0])
                used = max(used, need if need < ALONE else 0)
            expected += used
        return expected

    # -- who gives way ---------------------------------------------------------------------------

    def excess(self) -> list[Removal]:
        """Return the workers that are to be ended, as too much is used."""
        live = [slot for slot in self._fleet.slots.values() if slot.state is not STOPPING]
        if sum(self._usage.get(slot.id, 0) for slot in live) <= self._limit:
            return []
        busy = list(self._busy())
        if not busy:
            return []
        youngest = max(busy, key=lambda slot: slot.since)
        memory = self._fleet.policy.memory
        if len(busy) > 1 and memory is not None and memory.retries:
            return [Removal(youngest, ExitReason.MEMORY)]
        if len(busy) == 1 and self._usage.get(youngest.id, 0) <= self._limit:
            return [Removal(slot, ExitReason.MEMORY) for slot in self._fleet.idle.values()]
        return [Removal(youngest, ExitReason.OUT_OF_MEMORY)]

    def take_back(self, slot: Slot, batch: Batch, now: float) -> None:
        """Hold the one item that a worker had begun when it was ended."""
        key = batch.job, batch.start
        times = self._times[key] = self._times.get(key, 0) + 1
        peaks, peak = self._peaks_of(batch.job), self.peak(slot)
        if peak <= peaks.usual * LIKE_OTHERS and times < PATIENT:
            self._needs[key] = peaks.usual
        else:
            need = max(peaks.largest, 2 * peak)
            self._needs[key] = ALONE if key in self._needs else min(need, ALONE)
        self._held_since.setdefault(key, now)
        batch.attempts -= 1
        self._queue.hold(batch)

    def starve(self, slot: Slot) -> None:
        """The kernel has ended a worker: what it had was more than was seen."""
        self._peaks[slot.id] = ALONE

    def was_alone(self, slot: Slot) -> bool:
        """True if a worker's item had the memory for itself."""
        return all(other is slot for other in self._busy())

    def _busy(self) -> Iterator[Slot]:
        return (s for s in self._fleet.slots.values() if s.state is BUSY and s.inflight)

    @property
    def _is_idle(self) -> bool:
        return not self._fleet.counts[BUSY]

    @property
    def _limit(self) -> int:
        memory = self._fleet.policy.memory
        return 0 if memory is None else int(memory.budget * HIGH)


class _Peaks:
    """What the items of one function have needed lately."""

    def __init__(self) -> None:
        self._recent: deque[int] = deque(maxlen=RECENT)
        self._usual: int | None = 0

    def add(self, peak: int) -> None:
        """Take in the peak of another item."""
        self._recent.append(peak)
        self._usual = None

    @property
    def usual(self) -> int:
        """What most of them have needed; 0 if nothing is known."""
        if self._usual is None:
            self._usual = sorted(self._recent)[int((len(self._recent) - 1) * MOST)]
        return self._usual

    @property
    def largest(self) -> int:
        """What the largest of them has needed."""
        return max(self._recent, default=0)
