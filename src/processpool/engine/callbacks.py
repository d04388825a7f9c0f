"""The user's callbacks run on a thread of their own: one that waits must not stop the pool.

So do log handlers, for what the pool itself or a worker has to say. The thread is started with the
first callback, and ends with the engine.
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

log = logging.getLogger("processpool")

PATIENCE = 0.02
"""Seconds that the pool waits for a callback that mostly returns at once."""
LAST_GRACE = 1.0
"""Seconds that closing waits for callbacks that are still running."""


class CallbackThread:
    """Runs what it is given, one after another."""

    def __init__(self) -> None:
        self._actions: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._slow: Any = None
        """Held by an action that was waited for in vain, as long as it runs."""

    def run(self, action: Callable[[], object]) -> None:
        """Run this soon; to be called by the engine's thread only."""
        if self._thread is None:
            self._start()
        if self._thread is None:  # the system has no thread left: better here than never
            _run_one(action)
        else:
            self._actions.put(action)

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

    def _start(self) -> None:
        thread = threading.Thread(
            target=_run_all, args=(self._actions,), name="processpool-callbacks", daemon=True
        )
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def finish(self) -> None:
        """Nothing more will come."""
        self._actions.put(None)

    def join(self) -> None:
        """Wait a moment for the last ones, unless it is one of them that waits."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(LAST_GRACE)


def _run_all(actions: SimpleQueue[Callable[[], object] | None]) -> None:
    while (action := actions.get()) is not None:
        _run_one(action)
        del action


def _run_one(action: Callable[[], object]) -> None:
    try:
        action()
    except BaseException:  # it called sys.exit(), say: that must not end the others
        log.exception("a callback raised")
