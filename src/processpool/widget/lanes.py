"""The timeline: what every worker did in each quarter of a second of the last minute.

Three rules hold here. A worker that replaces a dead one goes on in its lane, so that there are
never more lanes than workers at a time. A column is one string, a letter for each lane. And the
number of columns is bounded.
"""

from __future__ import annotations

from collections import deque
from itertools import groupby, islice, zip_longest
from typing import TYPE_CHECKING

from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from processpool.core.snapshot import PoolSnapshot, WorkerSnapshot

SECONDS = 60
PER_SECOND = 4
COLUMNS = SECONDS * PER_SECOND
"""How far back the timeline goes, and how finely."""

NOBODY, LOST, BEGAN, GOES_ON = ".", "x", "b", "c"
"""No worker; a worker or an item was lost; busy with something new, or with the same as before."""
LETTERS = {
    WorkerState.STARTING: "s",
    WorkerState.IDLE: "i",
    WorkerState.BUSY: BEGAN,
    WorkerState.LEASED: "l",
    WorkerState.STOPPING: "e",
}
"""State of a worker → its letter in a column."""

_BUSY = WorkerState.BUSY

Run = tuple[int, str]
"""How many columns in a row, and what each of them says."""


class Lanes:
    """The columns of the last minute, and the worker of each lane."""

    def __init__(self) -> None:
        self.workers: list[int] = []
        """The worker of each lane; 0 where there is none."""
        self._columns: deque[str] = deque(maxlen=COLUMNS)
        self._slot: int | None = None
        self._before: dict[int, WorkerSnapshot] = {}

    def note(self, snapshot: PoolSnapshot) -> list[Run]:
        """Take in a snapshot; returns the columns that are new, none if it comes too soon."""
        slot = int(snapshot.at * PER_SECOND)
        missed = 0 if self._slot is None else slot - self._slot - 1
        if missed < 0:
            return []
        self._slot = slot
        column = self._column({worker.id: worker for worker in snapshot.workers})
        runs = [(1, column)]
        if missed:  # nobody looked for a while: taken to have been as it is now
            runs.insert(0, (min(missed, COLUMNS), column.replace(BEGAN, GOES_ON)))
        for count, letters in runs:
            self._columns.extend([letters] * count)
        return runs

    def all(self) -> list[Run]:
        """Every column there is, equal neighbours joined."""
        return [(len(list(equal)), column) for column, equal in groupby(self._columns)]

    def _column(self, present: dict[int, WorkerSnapshot]) -> str:
        known, lost = self._before, list[int]()
        if present.keys() != known.keys():
            lost = self._clear_lanes(present)
            self._place([number for number in present if number not in known])
        letters = [_letter(present.get(number), known.get(number)) for number in self.workers]
        for lane in lost:
            letters[lane] = LOST
        self._before = present
        while self.workers and not self.workers[-1]:
            self.workers.pop()
        return "".join(letters)

    def _clear_lanes(self, present: dict[int, WorkerSnapshot]) -> list[int]:
        """Free the lanes of workers that are gone; return those in which an item was lost."""
        lost = []
        for lane, number in enumerate(self.workers):
            if number and number not in present:
                self.workers[lane] = 0
                if self._before[number].pending:
                    lost.append(lane)
        return lost

    def _place(self, newcomers: list[int]) -> None:
        """Give new workers the free lanes, and then new ones."""
        free = (lane for lane, number in enumerate(self.workers) if not number)
        for number, lane in zip_longest(newcomers, islice(free, len(newcomers))):
            if lane is None:
                self.workers.append(number)
            else:
                self.workers[lane] = number


def _letter(worker: WorkerSnapshot | None, before: WorkerSnapshot | None) -> str:
    if worker is None:
        return NOBODY
    if before is None:
        return LETTERS[worker.state]
    if worker.failed > before.failed:
        return LOST
    # What every busy worker goes through, four times a second: no calls.
    if worker.state is _BUSY and before.state is _BUSY:
        same = worker.handled == before.handled and worker.item == before.item
        return GOES_ON if same else BEGAN
    return LETTERS[worker.state]
