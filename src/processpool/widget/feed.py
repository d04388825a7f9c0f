"""Frames, the updates that are sent to the front end, made from snapshots.

Frames are numbered, and a front end that misses one requests a full frame. Until the first such
request every frame is full, since a busy kernel may never receive one.

    frame: {"seq", "at", "full": state | "delta": changes,
            "columns": [[n, letters, owners], …], "log": [[worker, line], …],
            "history": true if "columns" and "log" are complete; then also
            "trends": [[second, items/s, queued, memory], …]}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.widget.delta import difference
from processpool.widget.eta import Etas
from processpool.widget.lanes import Lanes, Run
from processpool.widget.log import Line, Log
from processpool.widget.paces import Paces
from processpool.widget.rows import MAX_ROWS, Wishes
from processpool.widget.trends import Trends
from processpool.widget.view import Figures, State, render, render_maps

if TYPE_CHECKING:
    from processpool.core.snapshot import PoolSnapshot, WorkerSnapshot
    from processpool.widget import advice
    from processpool.widget.eta import Range

Frame = dict[str, Any]

HEARTBEAT = 1.0
"""Seconds between two frames while nothing changes."""
LEGIBLE = 0.2
"""Seconds that an item must have run for its text to be shown: nobody could read that of others."""
RESOURCES_PER_LOOK = 10
"""How many workers' CPU time and memory are read at a time; the first costs most by far."""
RESOURCE_INTERVAL = 8
"""Every how many snapshots these are read."""


class Feed:
    """Turns the snapshots of one pool into frames. Not thread-safe."""

    def __init__(self) -> None:
        self.state: State = {}
        """The state that was rendered last."""
        self.last: PoolSnapshot | None = None
        self._lanes = Lanes()
        self._paces = Paces()
        self._log = Log()
        self._trends = Trends()
        self._seq = 0
        self.etas: dict[int, Range] = {}
        """The estimates of the running maps."""
        self.acknowledged = False
        """True once a front end has asked for a full frame."""
        self.wishes = Wishes()
        """Which rows the user wants to see."""
        self.advice: advice.Line | None = None
        """What there is to say of the pool's maps."""
        self._etas = Etas()
        self._descriptions: dict[int, tuple[object, str]] = {}
        self._sent_at = float("-inf")
        self._unsent: list[Run] = []
        self._looks = 0
        self._exactly = False
        """True if all rows are made anew at the next look."""
        self._turn = 0

    def next_looks(self) -> frozenset[int]:
        """Return the workers whose CPU time and memory the next snapshot shall read.

        These are a few in turn at every `RESOURCE_INTERVAL`-th call, otherwise none. Workers not
        read before come first, and more of them at a time.
        """
        shown = self.state.get("order", [])
        if not shown:
            return frozenset()
        self._looks += 1
        if self._looks % RESOURCE_INTERVAL != 1:
            return frozenset()
        unknown = [number for number in shown if number not in self._paces.memory]
        if len(unknown) >= RESOURCES_PER_LOOK:
            return frozenset(unknown[: 2 * RESOURCES_PER_LOOK])
        self._turn %= len(shown)
        turn = [*unknown, *shown[self._turn :], *shown[: self._turn]]
        self._turn += RESOURCES_PER_LOOK - len(unknown)
        return frozenset(turn[:RESOURCES_PER_LOOK])

    @property
    def rates(self) -> dict[int, float]:
        """Items in a second of the running maps, lately."""
        return self._etas.rates

    def glance(self, snapshot: PoolSnapshot) -> Frame:
        """Return a small frame, for strips alone: with the maps, and nothing of the workers."""
        self.last = snapshot
        self.etas = self._etas.note(snapshot)
        figures = Figures(etas=self.etas, rates=self.rates)
        return {"at": round(snapshot.at, 2), **render_maps(snapshot, figures)}

    def read_next(self) -> None:
        """Have the next look take in everything, whether it is its turn or not."""
        self._looks = 0
        self._exactly = True

    def take(self, snapshot: PoolSnapshot) -> Frame | None:
        """Return a frame with the changes; None if there are none and no heartbeat is due."""
        before = self.state
        lines = self._note(snapshot)
        changes = difference(before, self.state) if before else self.state
        quiet = not changes and not lines
        if quiet and snapshot.at < self._sent_at + HEARTBEAT - 0.05:
            return None
        content: Frame = (
            {"delta": changes} if self.acknowledged and before else {"full": self.state}
        )
        return self._frame({**content, "columns": self._unsent, "log": lines})

    def everything(self, *, acknowledged: bool = True) -> Frame:
        """Return a full frame, with the history, for a front end that is new or missed a frame."""
        self.acknowledged = self.acknowledged or acknowledged
        history = {
            "columns": self._lanes.all(),
            "log": list(self._log.lines),
            "trends": self._trends.all(),
        }
        return self._frame({"full": self.state, **history, "history": True})

    def _note(self, snapshot: PoolSnapshot) -> list[Line]:
        self._paces.note(snapshot)
        self.etas = self._etas.note(snapshot)
        self._unsent += self._lanes.note(snapshot)
        self.last = snapshot
        look = None if self._exactly else self._looks
        self._exactly = False
        self.state = state = render(snapshot, self._figures(snapshot), self.state, look)
        self._trends.note(snapshot.at, state["rate"], state["queued"], state["memory"][0])
        return self._log.note(snapshot)

    def _figures(self, snapshot: PoolSnapshot) -> Figures:
        paces = self._paces
        return Figures(
            rate=paces.rate,
            cpu=paces.cpu,
            memory=paces.memory,
            late=paces.late(snapshot.workers),
            long=paces.long(snapshot.queued),
            lanes=self._lanes.workers,
            etas=self.etas,
            rates=self.rates,
            describe=self._describe,
            wishes=self.wishes,
            advice=self.advice,
        )

    def _describe(self, worker: WorkerSnapshot) -> str:
        """Return a short text for a worker's item; it is made once."""
        if worker.work is None or worker.item is None or (worker.item_age or 0.0) < LEGIBLE:
            return ""
        known = self._descriptions.get(worker.id)
        mark = worker.item, worker.handled
        if known is not None and known[0] == mark:
            return known[1]
        job, item = worker.work
        try:
            text = job.describe(worker.item, item)
        except Exception:  # an argument of a class with a mind of its own
            text = ""
        self._descriptions[worker.id] = mark, text
        if len(self._descriptions) > 4 * MAX_ROWS:
            self._descriptions.clear()
        return text

    def _frame(self, content: Frame) -> Frame:
        self._seq += 1
        self._unsent = []
        at = 0.0 if self.last is None else self.last.at
        self._sent_at = at
        return {"seq": self._seq, "at": round(at, 2), **content}
