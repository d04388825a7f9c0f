"""Spans of requests that have ended, and are still to be ended for their exporters.

Answers arrive on threads that others wait for. So what they end is only put down there, and a
thread passes it on, a few times a second; there is none while there is nothing to do.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import Thread
from time import sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Ending = Callable[[], None]

PAUSE = 0.2
"""Seconds between two looks at what has ended."""


class Endings:
    """What is to be done, in order; of one pool."""

    def __init__(self) -> None:
        self._pending: deque[Ending] = deque()
        self._is_awaited = False
        """True while a thread is about to do what is pending."""

    def put(self, ending: Ending) -> None:
        """Have this done soon."""
        self._pending.append(ending)
        self.wake()

    def wake(self) -> None:
        """Have done soon what is pending, if anything is."""
        if self._pending and not self._is_awaited:
            self._is_awaited = True
            with suppress(RuntimeError):  # the interpreter ends: it is done when the pool is closed
                Thread(target=self._run, name="processpool-otel", daemon=True).start()

    def put_quietly(self, ending: Ending) -> None:
        """Have this done when somebody wakes this, or at the end; takes no lock."""
        self._pending.append(ending)

    def flush(self) -> None:
        """Do it all now, also what is put down meanwhile."""
        with suppress(IndexError):
            while True:
                self._pending.popleft()()

    def _run(self) -> None:
        sleep(PAUSE)
        try:
            with suppress(IndexError):
                for _ in range(len(self._pending)):  # what comes meanwhile is for the next time
                    self._pending.popleft()()
        finally:
            self._is_awaited = False
            self.wake()
