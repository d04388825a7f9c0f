"""The thread that updates the widget four times a second, and handles messages from the browser.

It never prints; an exception is logged at debug level, and the thread goes on.
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
"""Seconds between two updates."""
MAX_MESSAGES = 100
"""The most messages from the front end that are queued; of more, the oldest are dropped."""


class Updater:
    """Calls `look` every quarter of a second and `answer` with every message, on one thread."""

    def __init__(
        self,
        look: Callable[[], bool],
        answer: Callable[[Any], None],
        thread: type[Thread] = Thread,
    ) -> None:
        """`look` returns False to end the thread, which is of the class `thread`."""
        self._look = look
        self._answer = answer
        self._messages: deque[Any] = deque(maxlen=MAX_MESSAGES)
        self._wake = Event()
        self._stopped = False
        self._first = Lock()
        """Taken by whoever starts the thread, for good."""
        self._turn = Lock()
        """Held while `look` or `answer` runs."""
        self._thread = thread(target=self._run, name="processpool-widget", daemon=True)

    def start(self) -> None:
        """Start the thread, unless it was started before."""
        if not self._stopped and self._first.acquire(blocking=False):
            self._thread.start()

    def post(self, message: Any) -> None:
        """Queue a message for the thread; never blocks, and may be called on any thread."""
        self._messages.append(message)
        self._wake.set()

    def look_now(self) -> None:
        """Call `look` on the calling thread, once the updater's thread is between two calls."""
        with self._turn:
            self._guarded(self._look)

    def stop(self) -> None:
        """Stop the thread, and wait until it has ended."""
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
