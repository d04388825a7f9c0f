"""The threads that run the user's callbacks, so that one that blocks does not stop the pool.

Log handlers run there too, for records of the pool and of workers. There is one thread, started
with the first callback; while a callback takes long, another thread runs those behind it.
"""

from __future__ import annotations

import logging
import threading
from _thread import allocate_lock
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("processpool")

PATIENCE = 0.1
"""The seconds that the pool waits for a callback, which usually returns at once. On a busy machine,
its thread may not run at once."""
STUCK = 0.1
"""The seconds after which a callback counts as taking long."""
MAX_THREADS = 64
"""The most threads."""
LAST_GRACE = 1.0
"""The seconds that closing a pool waits for callbacks that are still running."""


class Later(Protocol):
    """What the callbacks need of the loop of their engine."""

    def later(self, seconds: float, action: Callable[[], object], /) -> object:
        """Do something after so many seconds."""


class CallbackThreads:
    """Runs actions one after another, as long as none takes long.

    All methods but `join` may only be called by the leader.
    """

    def __init__(self) -> None:
        self.loop: Later
        self._actions: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._taken = 0
        """The number of actions that were begun."""
        self._is_watched = False
        self._slow: Any = None
        """A lock that an action holds while it runs, after `tell` has given up waiting for it."""

    def run(self, action: Callable[[], object]) -> None:
        """Run an action soon."""
        if not self._threads:
            self._start()
        if not self._threads:  # the system has no thread left, so run it here
            _run_one(action)
            return
        self._actions.put(action)
        self._watch()

    def tell(self, action: Callable[[], object]) -> None:
        """Run an action, and wait for it briefly, so that a quick one has ended when this returns.

        While an action takes longer, this does not wait for the following ones.
        """
        running = allocate_lock()
        running.acquire()

        def act() -> None:
            try:
                action()
            finally:
                running.release()

        self.run(act)
        if self._slow is None or self._slow.acquire(False):
            self._slow = None if running.acquire(True, PATIENCE) else running

    def finish(self) -> None:
        """End the threads once all actions have run."""
        self._actions.put(None)

    def join(self) -> None:
        """Wait briefly for the threads to end, unless this is one of them."""
        if threading.current_thread() not in self._threads:
            for thread in self._threads:
                thread.join(LAST_GRACE / len(self._threads))

    def _watch(self) -> None:
        if not self._is_watched:
            self._is_watched = True
            taken = self._taken
            self.loop.later(STUCK, lambda: self._look(taken))

    def _look(self, taken: int) -> None:
        """Start another thread if actions are queued, and none was begun since the last look."""
        self._is_watched = False
        if not self._actions.empty():
            if taken == self._taken and len(self._threads) < MAX_THREADS:
                self._start()
            self._watch()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run_all, name="processpool-callbacks", daemon=True)
        with suppress(RuntimeError):
            thread.start()
            self._threads.append(thread)

    def _run_all(self) -> None:
        while (action := self._actions.get()) is not None:
            self._taken += 1
            _run_one(action)
            del action
        self._actions.put(None)  # for the next thread


def _run_one(action: Callable[[], object]) -> None:
    try:
        action()
    except BaseException:  # for example SystemExit, which must not end the thread
        log.exception("a callback raised")
