"""Shared memory that a worker has not used for a while goes back to the system.

A worker and the pool keep free memory for the next large payload, each on its side, as fresh memory
costs more. Whichever payload ends the rest of a worker's memory sets one timer for the pool; and
while nothing is used, there is none.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core.states import WorkerState
from processpool.engine.workers.owner import Owner
from processpool.engine.workers.python import PythonProtocol

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.workers.resting import Resting
    from processpool.engine.workers.worker import Worker

REST_AFTER = 5.0
"""Seconds after its last use that memory is kept."""
AGAIN = 1.0
"""Seconds until the next attempt, where a worker was in somebody's hands."""
_OF_CALLS = (Owner.CALL, Owner.WARM)


class IdleMemory:
    """Puts the memory of an engine's workers to rest."""

    def __init__(self, core: Core, dispatcher: Dispatcher) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._users: dict[Worker, Resting] = {}
        """Workers whose memory is not at rest."""
        self._planned = False

    def watch(self, worker: Worker) -> None:
        """From now on see to this worker, if it is of a kind that shares memory."""
        if isinstance(worker.protocol, PythonProtocol):
            memory = worker.protocol.memory
            memory.call_on_use(partial(self._core.post, partial(self._note, worker, memory)))

    def _note(self, worker: Worker, memory: Resting) -> None:
        self._users[worker] = memory
        self._plan(REST_AFTER)

    def _plan(self, seconds: float) -> None:
        if not self._planned:
            self._planned = True
            self._core.loop.later(seconds, self._look)

    def _look(self) -> None:
        """Put to rest what was not used for so long; and look again, if that is not all."""
        self._planned = False
        before = monotonic() - REST_AFTER
        soonest = REST_AFTER
        for worker, memory in list(self._users.items()):
            used_at = memory.used_at
            if used_at is not None and used_at <= before:
                done = self._put_to_rest(worker, memory, before)
                used_at = memory.used_at if done else before
            if used_at is None or worker.is_closed:
                del self._users[worker]
            else:
                soonest = min(soonest, max(used_at - before, AGAIN))
        if self._users:
            self._plan(soonest)

    def _put_to_rest(self, worker: Worker, memory: Resting, before: float) -> bool:
        """Let go of what was not used since `before`; False while a thread has the worker."""
        with self._core.lock:
            slot = self._core.scheduler.slots.get(worker.id)
            if slot is not None and slot.state is WorkerState.IDLE:
                self._dispatcher.watch(worker)  # it will say what it has let go of
        if not worker.io.acquire(False):
            return False
        try:
            if worker.is_closed:  # the numbers of its descriptors may be somebody else's by now
                return True
            is_lent = worker.owner.state in _OF_CALLS
            memory.postpone(before if is_lent else None)
            if is_lent or worker.recalls or worker.outbox:
                return False
            memory.rest(before)
            worker.flush()  # what the pipe does not take goes with the next request
        finally:
            worker.io.release()
        return True
