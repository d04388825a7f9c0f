"""A pool of many workers that are not there: for tests and benchmarks of displays."""

from __future__ import annotations

from collections.abc import Collection
from itertools import cycle
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core.snapshot import MapSnapshot, PoolSnapshot
from processpool.core.states import PoolState
from tests.widget.snapshots import busy, pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.core.snapshot import WorkerSnapshot


class Crowd:
    """Looks like a pool to a display: every look finds half of the workers with a new item."""

    state = PoolState.OPEN

    def __init__(self, size: int, step: float = 0.0, nodes: Sequence[str] = ("",)) -> None:
        """Its workers are on the nodes in turns.

        With `step`, its clock moves on by so many seconds at each look, and else by itself.
        """
        self._began = monotonic()
        self._step = step
        self._looks = 0
        self._workers = [
            busy(number, item=number, node=node, stale=node.startswith("late"))
            for number, node in zip(range(1, size + 1), cycle(nodes), strict=False)
        ]

    def snapshot(self, *, resources: bool | Collection[int] = True) -> PoolSnapshot:
        """The crowd as it is now."""
        self._looks += 1
        looks = resources if isinstance(resources, Collection) else ()
        self._workers = [self._next(worker, worker.id in looks) for worker in self._workers]
        finished = sum(worker.handled for worker in self._workers)
        now = self._began + self._looks * self._step if self._step else monotonic()
        run = MapSnapshot(1, "crowd", finished, 0, 10_000_000, now - self._began)
        return pool(*self._workers, at=now, finished=finished, maps=(run,), queued=5000)

    def _next(self, worker: WorkerSnapshot, look: bool) -> WorkerSnapshot:
        changes: dict[str, Any] = {"cpu": None, "memory": None}
        if look:
            changes = {"cpu": self._looks / 4, "memory": (50 << 20) + (self._looks << 12)}
        if (worker.id + self._looks) % 2:
            item = (worker.item or 0) + len(self._workers)
            changes |= {"item": item, "handled": worker.handled + 1, "item_age": 0.1}
        else:
            changes["item_age"] = (worker.item_age or 0.0) + 0.25
        if not (worker.id + self._looks) % 97:
            text = f"worker {worker.id} has something to say, at look {self._looks}\n"
            changes |= {"stderr": text, "stderr_bytes": worker.stderr_bytes + len(text)}
        return worker._replace(**changes)
