"""The loop of an engine: one epoll, one eventfd to wake it, and a few timers. It never polls.

Handlers, posted actions and timers run on the thread that calls `turn`. Any thread may watch,
forget, post and wake; `post` and `wake` take no lock, so that a finaliser may call them.
"""

from __future__ import annotations

import heapq
import os
import select
from collections import deque
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Action = Callable[[], object]

_LONGEST = 1e6
"""Seconds that are slept at a time, at most: the system's calls overflow at some weeks."""


class Loop:
    """Waits for descriptors, timers and other threads, and calls what was asked for."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            OSError: no descriptor is left.
        """
        self._epoll = select.epoll()
        try:
            self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:
            self._epoll.close()
            raise
        self._handlers: dict[int, Action] = {}
        self._posted: deque[Action] = deque()
        self._timers: list[tuple[float, int, Action]] = []
        self._order = count()
        self._sleeps_until: float | None = 0.0
        self.watch(self._waker, select.EPOLLIN, self._clear_waker)

    def watch(self, fd: int, events: int, handler: Action) -> None:
        """Call `handler` when one of these epoll events happens on the descriptor."""
        self._handlers[fd] = handler
        self._epoll.register(fd, events)

    def forget(self, fd: int) -> None:
        """Watch a descriptor no more; it may be unknown."""
        if self._handlers.pop(fd, None) is not None:
            with suppress(OSError):
                self._epoll.unregister(fd)

    def later(self, seconds: float, action: Action) -> None:
        """Call `action` in so many seconds; on the loop's own thread only."""
        heapq.heappush(self._timers, (monotonic() + seconds, next(self._order), action))

    def post(self, action: Action) -> None:
        """Call `action` on the loop's thread, soon."""
        self._posted.append(action)
        self.wake()

    def wake(self) -> None:
        """End the sleep of `turn`, if it sleeps."""
        if self._waker >= 0:
            with suppress(OSError):
                os.eventfd_write(self._waker, 1)

    def wake_by(self, due: float | None) -> None:
        """End the sleep of `turn`, if it would last beyond this time."""
        asleep = self._sleeps_until
        if due is not None and (asleep is None or due < asleep):
            self.wake()

    def plan(self, due: float | None) -> None:
        """Sleep until this time at most, in the next `turn`.

        To be called under the lock that guards what `due` was computed from, so that no later
        change is missed.
        """
        if self._timers and (due is None or self._timers[0][0] < due):
            due = self._timers[0][0]
        self._sleeps_until = due

    def turn(self) -> None:
        """Sleep until something happens, as planned, and see to everything that has happened."""
        for fd, _ in self._epoll.poll(self._sleep_time()):
            handler = self._handlers.get(fd)  # an earlier one may have forgotten it
            if handler is not None:
                handler()
        for _ in range(len(self._posted)):
            self._posted.popleft()()
        while self._timers and self._timers[0][0] <= monotonic():
            heapq.heappop(self._timers)[2]()

    def close(self) -> None:
        """Close the descriptors of the loop itself."""
        if self._waker >= 0:
            waker, self._waker = self._waker, -1
            os.close(waker)
            self._epoll.close()

    def _sleep_time(self) -> float | None:
        if self._posted:
            return 0
        if self._sleeps_until is None:
            return None
        return min(max(self._sleeps_until - monotonic(), 0), _LONGEST)

    def _clear_waker(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._waker)
