"""Runs the user's callbacks on threads of their own: one that waits must not stop the pool.

Log handlers run there too, for records of the pool itself and of workers. There is one thread,
started with the first callback; only while a callback takes long does another one run those behind
it.
"""

from __future__ import annotations

import logging
import threading
from _thread import allocate_lock
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.system.epoll_loop import Loop

log = logging.getLogger("processpool")

PATIENCE = 0.1
"""Seconds that the pool waits for a callback that mostly returns at once. On a busy machine its
thread does not run at once."""
STUCK = 0.1
"""Seconds after which a callback takes long."""
MOST = 64
"""Threads at most."""
LAST_GRACE = 1.0
"""Seconds that closing waits for callbacks that are still running."""


class CallbackThreads:
    """Runs what it is given, one after another as long as none takes long.

    All but `join` is to be called by the engine's thread only.
    """

    def __init__(self) -> None:
        self.loop: Loop
        self._actions: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._taken = 0
        """Actions that a thread has begun."""
        self._is_watched = False
        self._slow: Any = None
        """Held by an action that was waited for in vain, as long as it runs."""

    def run(self, action: Callable[[], object]) -> None:
        """Run this soon."""
        if not self._threads:
            self._start()
        if not self._threads:  # the system has no thread left: better here than never
            _run_one(action)
            return
        self._actions.put(action)
        self._watch()

    def tell(self, action: Callable[[], object]) -> None:
        """Run this, and wait a moment for it: what returns at once is over before the pool goes on.

        As long as one takes longer, it and those behind it are not waited for.
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
        """Nothing more will come."""
        self._actions.put(None)

    def join(self) -> None:
        """Wait a moment for the last ones, unless it is one of them that waits."""
        if threading.current_thread() not in self._threads:
            for thread in self._threads:
                thread.join(LAST_GRACE / len(self._threads))

    def _watch(self) -> None:
        if not self._is_watched:
            self._is_watched = True
            taken = self._taken
            self.loop.later(STUCK, lambda: self._look(taken))

    def _look(self, taken: int) -> None:
        """If nothing was begun for a while, and something waits, another thread takes it."""
        self._is_watched = False
        if not self._actions.empty():
            if taken == self._taken and len(self._threads) < MOST:
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
    except BaseException:  # it called sys.exit(), say: that must not end the others
        log.exception("a callback raised")
