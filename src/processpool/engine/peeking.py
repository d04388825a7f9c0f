"""Watching of workers that have several items, so that a slow item does not delay the others.

Finished answers that a worker has not sent are read from its journal, and if another worker is
idle, the items behind the slow one are recalled. This runs on the leader's thread.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.dispatcher import Dispatcher
    from processpool.engine.receiver import Receiver
    from processpool.engine.workers.prefetching import Prefetching
    from processpool.engine.workers.worker import Worker

PEEK_EVERY = 0.05
"""The seconds between two checks for answers held up by a slow item."""
SETTLED = 0.002
"""The seconds after which a worker has certainly read a word in shared memory, or begun the items
that the word should have stopped."""


class Peeking:
    """Checks the workers of an engine that have several items, every `PEEK_EVERY` seconds."""

    def __init__(self, core: Core, dispatcher: Dispatcher, receiver: Receiver) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._receiver = receiver
        dispatcher.watch_over = self.watch_over
        dispatcher.share_out = self.share_out

    def watch_over(self, worker: Worker) -> None:
        """Check this worker regularly while it has several items."""
        if worker.prefetching is not None:
            worker.prefetching.is_watched = True
            self._core.loop.later(PEEK_EVERY, partial(self._peek, worker, worker.prefetching))

    def share_out(self, worker: Worker) -> None:
        """In a moment requeue what this worker was asked to return, and has not begun; assign."""
        self._core.loop.post(partial(self._core.loop.later, SETTLED, partial(self._get, worker)))

    def _get(self, worker: Worker) -> None:
        if worker.prefetching is not None:
            self._share_out(worker, worker.prefetching)
        self._core.decide(self._core.scheduler.reassign)

    def _peek(self, worker: Worker, prefetching: Prefetching) -> None:
        """Deliver the answers before a slow item; recall the items behind it for an idle worker."""
        if not self._take_waiting(worker, prefetching):
            return
        with self._core.lock:
            shares = self._core.scheduler.can_share(worker.id)
            prefetching.is_watched = self._core.scheduler.slots[worker.id].load > 1
        if shares:
            self._dispatcher.recall(worker.id, read=True)
            self._core.loop.later(SETTLED, partial(self._share_out, worker, prefetching))
        if prefetching.is_watched:
            self.watch_over(worker)

    def _share_out(self, worker: Worker, prefetching: Prefetching) -> None:
        """Requeue the items that the worker was asked to return, and has not begun."""
        if not self._take_waiting(worker, prefetching):
            return
        with worker.io:
            kept = None if worker.is_closed else prefetching.revoke()
        if kept is not None:
            decision = partial(self._core.scheduler.given_back, worker.id, keep=kept)
            self._dispatcher.relieve(worker, decision)

    def _take_waiting(self, worker: Worker, prefetching: Prefetching) -> bool:
        """Deliver the answers that the worker has not sent; return False if it is not busy."""
        with self._core.lock:
            slot = self._core.scheduler.slots.get(worker.id)
            busy = slot is not None and slot.state is WorkerState.BUSY
            prefetching.is_watched = busy
        if not busy:
            return False
        with worker.io:
            answers = [] if worker.is_closed else prefetching.peek()
        self._receiver.complete_all(worker, answers)
        return True
