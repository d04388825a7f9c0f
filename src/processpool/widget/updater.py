"""The thread that looks at the pool, four times a second, and does what the buttons ask for.

It never prints, and whatever goes wrong in it harms nobody: a log line at debug level, and on.
"""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from threading import Event, Lock, Thread, current_thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("processpool")

PERIOD = 0.25
"""Seconds between two looks."""
MAX_MESSAGES = 100
"""Messages from the front end that may wait; more are dropped."""


class Updater:
    """Calls `look` every quarter of a second and `answer` with every message, on one thread."""

    def __init__(self, look: Callable[[], bool], answer: Callable[[Any], None]) -> None:
        """`look` returns False when there is nothing more to look at."""
        self._look = look
        self._answer = answer
        self._messages: deque[Any] = deque(maxlen=MAX_MESSAGES)
        self._wake = Event()
        self._stopped = False
        self._turn = Lock()
        """Held while something is looked at or answered."""
        self._thread = Thread(target=self._run, name="processpool-widget", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def post(self, message: Any) -> None:
        """A message has come; from any thread, and at once."""
        self._messages.append(message)
        self._wake.set()

    def look_now(self) -> None:
        """Look at the pool on this thread, between two looks of the other."""
        with self._turn:
            self._guarded(self._look)

    def stop(self) -> None:
        """Look no more; returns when the last look is over."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive() and current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(PERIOD)
            self._wake.clear()
            with self._turn:
                while self._messages and not self._stopped:
                    self._guarded(partial(self._answer, self._messages.popleft()))
                if self._stopped or self._guarded(self._look) is False:
                    return

    @staticmethod
    def _guarded(action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception:
            log.debug("the widget could not be updated", exc_info=True)
            return None
