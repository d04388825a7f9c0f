"""From snapshots to frames: what is sent to the front end, and when there is nothing to send.

A frame has a number, and the front end asks for a full one if a number is missing. Until a front
end has said that it is there, every frame is full: a kernel that is busy may never hear it.

    frame: {"seq", "at", "full": state | "delta": changes, "columns": [[n, letters], …],
            "log": [[worker, line], …], "history": true if the columns and the log are all there is}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.widget.delta import difference
from processpool.widget.lanes import Lanes, Run
from processpool.widget.log import Line, Log
from processpool.widget.paces import Paces
from processpool.widget.view import Figures, State, render

if TYPE_CHECKING:
    from processpool.core.snapshot import PoolSnapshot

Frame = dict[str, Any]

HEARTBEAT = 1.0
"""Seconds between two frames if nothing happens."""
RESOURCES_PER_LOOK = 10
"""Workers whose CPU time and memory are read at a time: the first one is by far the dearest."""
RESOURCE_INTERVAL = 8
"""Looks from one such time to the next."""


class Feed:
    """Turns the snapshots of one pool into frames. Not for several threads at once."""

    def __init__(self) -> None:
        self.state: State = {}
        """What was rendered last."""
        self.last: PoolSnapshot | None = None
        self._lanes = Lanes()
        self._paces = Paces()
        self._log = Log()
        self._seq = 0
        self._acknowledged = False
        self._sent_at = float("-inf")
        self._unsent: list[Run] = []
        self._looks = 0
        self._turn = 0

    def next_looks(self) -> frozenset[int]:
        """The workers whose CPU time and memory are to be read now: now and then a few, in turn.

        Those of which nothing is known yet come first, and more of them.
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

    def read_next(self) -> None:
        """Let CPU time and memory be read at the next look, whether it is its turn or not."""
        self._looks = 0

    def take(self, snapshot: PoolSnapshot) -> Frame | None:
        """A frame with what has changed; None if nothing has and no heartbeat is due."""
        before = self.state
        lines = self._note(snapshot)
        changes = difference(before, self.state) if before else self.state
        quiet = not changes and not lines
        if quiet and snapshot.at < self._sent_at + HEARTBEAT - 0.05:
            return None
        content: Frame = (
            {"delta": changes} if self._acknowledged and before else {"full": self.state}
        )
        return self._frame({**content, "columns": self._unsent, "log": lines})

    def everything(self, *, acknowledged: bool = True) -> Frame:
        """A frame for a front end that is new, or has missed one."""
        self._acknowledged = self._acknowledged or acknowledged
        columns, log = self._lanes.all(), list(self._log.lines)
        return self._frame({"full": self.state, "columns": columns, "log": log, "history": True})

    def _note(self, snapshot: PoolSnapshot) -> list[Line]:
        self._paces.note(snapshot)
        self._unsent += self._lanes.note(snapshot)
        self.last = snapshot
        self.state = render(snapshot, self._figures(snapshot), self.state.get("order", ()))
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
        )

    def _frame(self, content: Frame) -> Frame:
        self._seq += 1
        self._unsent = []
        at = 0.0 if self.last is None else self.last.at
        self._sent_at = at
        return {"seq": self._seq, "at": round(at, 2), **content}
