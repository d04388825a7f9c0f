"""The timeline: what every worker did in the last minute, by quarters of a second.

Four rules hold here. A new worker takes the lane of one that has ended, so there are never more
lanes than workers at a time. A column is a string with one letter for each lane. What is in a lane
belongs to the worker that had it then, as does the mark that it left by dying. And the number of
columns is bounded.
"""

from __future__ import annotations

from collections import deque
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from processpool.core.snapshot import Loss, PoolSnapshot, WorkerSnapshot

SECONDS = 60
PER_SECOND = 4
COLUMNS = SECONDS * PER_SECOND
"""The timeline's length and resolution."""

NOBODY, FAILED, BEGAN, GOES_ON = ".", "x", "b", "c"
"""No worker; an item failed; busy with a new item; busy with the same item still."""
LOSSES = {"failed": FAILED, "cancelled": "k", "retried": "r"}
"""The letters for what became of the item of a worker that has ended."""
LETTERS = {
    WorkerState.STARTING: "s",
    WorkerState.IDLE: "i",
    WorkerState.BUSY: BEGAN,
    WorkerState.LEASED: "l",
    WorkerState.STOPPING: "e",
}
"""The letters of a worker's states in a column."""

_BUSY = WorkerState.BUSY
_WITHOUT_MARKS = str.maketrans({BEGAN: GOES_ON, **dict.fromkeys(LOSSES.values(), NOBODY)})
"""From the letters of a column to those of columns before it, in which nothing has ended."""

Owners = dict[int, int]
"""The workers of lanes from a column on, by lane."""
Run = tuple[int, str, Owners]
"""Equal columns in a row: their number, their letters, and the lanes whose worker changes with the
first of them."""


class Lanes:
    """The columns of the last minute, and the worker of each lane."""

    def __init__(self) -> None:
        self.workers: list[int] = []
        """The worker's number of each lane; 0 for a lane without one."""
        self._columns: deque[tuple[str, Owners]] = deque()
        self._owners: Owners = {}
        """The workers of the lanes before the first column."""
        self._owners_now: Owners = {}
        self._unnamed = False
        """True if lanes with a mark of the last column have another worker already."""
        self._slot: int | None = None
        self._before: dict[int, WorkerSnapshot] = {}

    def note(self, snapshot: PoolSnapshot) -> list[Run]:
        """Take a snapshot and return the new columns: none if the last one is of the same slot."""
        slot = int(snapshot.at * PER_SECOND)
        missed = 0 if self._slot is None else slot - self._slot - 1
        if missed < 0:
            return []
        self._slot = slot
        column, owners = self._column(snapshot)
        runs = [(1, column, owners)]
        if missed:  # slots without a snapshot are assumed to have been as it is now
            runs = [
                (min(missed, COLUMNS), column.translate(_WITHOUT_MARKS), owners),
                (1, column, {}),
            ]
        for count, letters, changes in runs:
            self._columns.extend([(letters, changes), *[(letters, {})] * (count - 1)])
        while len(self._columns) > COLUMNS:
            self._owners |= self._columns.popleft()[1]
        return runs

    def all(self) -> list[Run]:
        """Return all columns, as runs of equal ones."""
        runs = list[Run]()
        for letters, changes in self._columns:
            if runs and letters == runs[-1][1] and not changes:
                runs[-1] = runs[-1][0] + 1, letters, runs[-1][2]
            else:
                runs.append((1, letters, changes if runs else self._owners | changes))
        return runs

    def _column(self, snapshot: PoolSnapshot) -> tuple[str, Owners]:
        present = {worker.id: worker for worker in snapshot.workers}
        known, lost = self._before, dict[int, str]()
        moved = present.keys() != known.keys()
        if moved:
            lost = self._clear_lanes(present, snapshot.losses)
            self._place([number for number in present if number not in known])
        letters = [*_letters(self.workers, present, known)]
        for lane, letter in lost.items():
            letters[lane] = letter
        self._before = present
        owners = self._new_owners(lost) if moved or self._unnamed else {}
        self._unnamed = bool(lost)
        while self.workers and not self.workers[-1]:
            self.workers.pop()
        return "".join(letters), owners

    def _new_owners(self, lost: Collection[int]) -> Owners:
        """Return the lanes that have another worker now, without those in which one was lost."""
        owners = {
            lane: number
            for lane, number in enumerate(self.workers)
            if number and number != self._owners_now.get(lane) and lane not in lost
        }
        self._owners_now |= owners
        return owners

    def _clear_lanes(
        self, present: dict[int, WorkerSnapshot], losses: Iterable[Loss]
    ) -> dict[int, str]:
        """Free the lanes of workers that have ended; return the marks that they leave, by lane."""
        marks = {worker: LOSSES[how] for worker, how in losses}
        lost = {}
        for lane, number in enumerate(self.workers):
            if number and number not in present:
                self.workers[lane] = 0
                if number in marks:
                    lost[lane] = marks[number]
        return lost

    def _place(self, newcomers: list[int]) -> None:
        """Assign new workers to free lanes, then to additional ones."""
        free = (lane for lane, number in enumerate(self.workers) if not number)
        for number, lane in zip_longest(newcomers, islice(free, len(newcomers))):
            if lane is None:
                self.workers.append(number)
            else:
                self.workers[lane] = number


def _letters(
    workers: Iterable[int],
    present: Mapping[int, WorkerSnapshot],
    known: Mapping[int, WorkerSnapshot],
) -> Iterator[str]:
    """Yield the letter of each lane, given its worker."""
    for number in workers:  # hundreds of them, four times a second: no functions are called
        worker, before = present.get(number), known.get(number)
        if worker is None:
            yield NOBODY
        elif before is None:
            yield LETTERS[worker.state]
        elif worker.failed > before.failed:
            yield FAILED
        elif worker.state is _BUSY and before.state is _BUSY:
            same = worker.handled == before.handled and worker.item == before.item
            yield GOES_ON if same else BEGAN
        else:
            yield LETTERS[worker.state]
