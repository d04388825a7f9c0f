"""Workers that have several items: sees that a slow one keeps neither answers nor others waiting.

Answers that a worker has made and not sent are taken before its slow item ends; and if somebody
else is free, so is what is behind that item. Runs on the thread that leads.
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
"""Seconds between two looks for answers that wait for a slow item behind them."""
SETTLED = 0.002
"""Seconds after which a word in shared memory has surely been seen, or what it was to prevent."""


class Peeking:
    """Looks now and then at the workers of one engine that have several items."""

    def __init__(self, core: Core, dispatcher: Dispatcher, receiver: Receiver) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._receiver = receiver
        dispatcher.watch_over = self.watch_over

    def watch_over(self, worker: Worker) -> None:
        """Look at this one while it has several items."""
        if worker.prefetching is not None:
            worker.prefetching.is_watched = True
            self._core.loop.later(PEEK_EVERY, partial(self._peek, worker, worker.prefetching))

    def _peek(self, worker: Worker, prefetching: Prefetching) -> None:
        """Take the answers before a slow item; and what is behind it, if somebody else is free."""
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
        """The worker was asked for what it has not begun: let others have it."""
        if not self._take_waiting(worker, prefetching):
            return
        with worker.io:
            kept = None if worker.is_closed else prefetching.revoke()
        if kept is not None:
            decision = partial(self._core.scheduler.given_back, worker.id, keep=kept)
            self._dispatcher.relieve(worker, decision)

    def _take_waiting(self, worker: Worker, prefetching: Prefetching) -> bool:
        """Deliver what it has answered and not sent; False if it has nothing to do any more."""
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
