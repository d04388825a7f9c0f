"""From snapshots to frames: what is sent to the front end, and when there is nothing to send.

A frame has a number, and the front end asks for a full one if a number is missing. Until a front
end has said that it is there, every frame is full: a kernel that is busy may never hear it.

    frame: {"seq", "at", "full": state | "delta": changes, "columns": [[n, letters], …],
            "log": [[worker, line], …], "history": true if the columns and the log are all there is}
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from processpool.widget.delta import difference
from processpool.widget.lanes import Lanes, Run
from processpool.widget.log import Line, Log
from processpool.widget.paces import Paces
from processpool.widget.view import Figures, State, render

if TYPE_CHECKING:
    from processpool.snapshot import PoolSnapshot

Frame = dict[str, Any]

HEARTBEAT = 1.0
"""Seconds between two frames if nothing happens."""
LOOKS = 6
"""Workers whose CPU time and memory are read at each look."""


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
        self._heard = False
        self._sent_at = float("-inf")
        self._unsent: list[Run] = []
        self._turn = 0

    def next_looks(self) -> frozenset[int]:
        """The workers whose CPU time and memory are to be read next: a few at a time, in turn."""
        shown = self.state.get("order", [])
        if not shown:
            return frozenset()
        self._turn %= len(shown)
        turn = [*shown[self._turn :], *shown[: self._turn]]
        self._turn += LOOKS
        return frozenset(islice(turn, LOOKS))

    def take(self, snapshot: PoolSnapshot) -> Frame | None:
        """A frame with what has changed; None if nothing has and no heartbeat is due."""
        before = self.state
        lines = self._note(snapshot)
        if self._heard and before:
            content: Frame = {"delta": difference(before, self.state)}
        else:
            content = {"full": self.state}
        quiet = before and before == self.state and not lines
        if quiet and snapshot.at < self._sent_at + HEARTBEAT - 0.05:
            return None
        return self._frame({**content, "columns": self._unsent, "log": lines})

    def everything(self, *, heard: bool = True) -> Frame:
        """A frame for a front end that is new, or has missed one."""
        self._heard = self._heard or heard
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
            typical=paces.typical,
            cpu=paces.cpu,
            memory=paces.memory,
            late=paces.late(snapshot.workers),
            seats=self._lanes.seats,
        )

    def _frame(self, content: Frame) -> Frame:
        self._seq += 1
        self._unsent = []
        at = 0.0 if self.last is None else self.last.at
        self._sent_at = at
        return {"seq": self._seq, "at": round(at, 2), **content}
