"""One thread that does everything that is to be done for a pool, one thing after another."""

from __future__ import annotations

import heapq
import logging
import threading
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("processpool")


class Pump:
    """A thread with a queue of actions, and timers."""

    def __init__(self, name: str) -> None:
        self._actions: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: the system has no thread left.
        """
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """True on this thread."""
        return threading.current_thread() is self._thread

    def post(self, action: Callable[[], object]) -> None:
        """Do something soon; takes no lock, and may be called anywhere."""
        self._actions.put(action)

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something after so many seconds; only on this thread."""
        heapq.heappush(self._timers, (monotonic() + seconds, next(self._order), action))

    def stop(self) -> None:
        """End the thread after what was posted before."""
        self._actions.put(None)

    def join(self, seconds: float) -> None:
        """Wait for the thread to end, unless this is it."""
        if self._thread.ident is not None and not self.is_current:
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            wait = max(self._timers[0][0] - monotonic(), 0) if self._timers else None
            try:
                action = self._actions.get(timeout=wait)
            except Empty:
                action = heapq.heappop(self._timers)[2]
            if action is None:
                return
            try:
                action()
            except BaseException:
                log.exception("the thread of a pool on a cluster met something unexpected")
