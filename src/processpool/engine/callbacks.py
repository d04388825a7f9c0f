"""Callbacks of futures run on a thread of their own: one that waits must not stop the pool.

The thread is started with the first callback, and ends with the engine.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("processpool")

LAST_GRACE = 1.0
"""Seconds that closing waits for callbacks that are still running."""


class CallbackThread:
    """Runs what it is given, one after another."""

    def __init__(self) -> None:
        self._actions: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, action: Callable[[], object]) -> None:
        """Run this soon; to be called by the engine's thread only."""
        if self._thread is None:
            self._start()
        if self._thread is None:  # the system has no thread left: better here than never
            _run_one(action)
        else:
            self._actions.put(action)

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
        log.exception("a future's callback raised")
