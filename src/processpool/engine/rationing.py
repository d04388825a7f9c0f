"""Measures what workers use, for pools with a budget of memory: often while there is work.

What was decided by that is in `core/budget.py`. Between two looks an item may take more than there
is, so the closer the workers are to the budget, the more often they are looked at.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from processpool.core.commands import Kill
from processpool.core.states import WorkerState
from processpool.system.footprint import Footprint

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.workers.worker import Worker

CALM, CLOSE = 0.02, 0.004
"""Seconds between two looks: while less than half of the budget is used, and beyond."""
_AT_WORK = frozenset({WorkerState.BUSY, WorkerState.LEASED})


class Rationing:
    """Looks at the workers of one engine while any of them has work."""

    def __init__(self, core: Core, dispatcher: Dispatcher) -> None:
        self._core = core
        self._planned = False
        self._footprints: dict[int, tuple[Worker, Footprint]] = {}
        if core.scheduler.policy.memory is not None:
            dispatcher.weigh = self._begin

    def _begin(self) -> None:
        """Under the lock: a worker gets something to do."""
        if not self._planned:
            self._planned = True
            self._core.loop.post(self._look)

    def _look(self) -> None:
        core, now = self._core, monotonic()
        with core.lock:
            workers = dict(core.workers)
            at_work = any(slot.state in _AT_WORK for slot in core.scheduler.slots.values())
            memory = core.scheduler.policy.memory
        usage = {number: self._footprint(worker).measure(now) for number, worker in workers.items()}
        self._footprints = {n: kept for n, kept in self._footprints.items() if n in workers}
        commands = core.decide(lambda now: core.scheduler.weighed(usage, now))
        for command in commands:
            if type(command) is Kill and command.worker in usage:
                watch = workers[command.worker].memory
                watch.peak = max(watch.peak or 0, usage[command.worker])
        waits = core.scheduler.queue.has_delayed or core.scheduler.queued
        self._planned = memory is not None and bool(at_work or waits)
        if self._planned and memory is not None:
            is_calm = 2 * sum(usage.values()) < memory.budget
            core.loop.later(CALM if is_calm else CLOSE, self._look)

    def _footprint(self, worker: Worker) -> Footprint:
        known = self._footprints.get(worker.id)
        if known is None:
            known = self._footprints[worker.id] = worker, Footprint(worker.pid)
        return known[1]
