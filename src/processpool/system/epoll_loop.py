"""The loop of an engine: one epoll, one eventfd to wake it, and a few timers. It never polls.

Handlers, posted actions and timers run on the thread that calls `turn`, one thread at a time. Any
thread may watch, forget, post and wake; `post` and `wake` take no lock, so a finalizer may call
them.
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

FOREVER = float("inf")
_LONGEST = 1e6
"""Seconds of one sleep, at most: system calls overflow after some weeks."""


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
        self._last: set[int] = set()
        """Descriptors whose handlers are called after all others of the same turn."""
        self._posted: deque[Action] = deque()
        self._timers: list[tuple[float, int, Action]] = []
        self._order = count()
        self.planned: float | None = None
        """When the engine is to look again, if nothing happens before."""
        self.asleep_until = 0.0
        """Until when a turn sleeps now; 0 while none does."""
        self.watch(self._waker, select.EPOLLIN, self._clear_waker)

    @property
    def fd(self) -> int:
        """The descriptor of the epoll itself: readable when `turn` has something to do."""
        return self._epoll.fileno()

    def watch(self, fd: int, events: int, handler: Action, *, last: bool = False) -> None:
        """Call `handler` when one of these epoll events happens on the descriptor.

        With `last`, after the handlers of what else has happened: the kernel lists a pipe that was
        watched longer before one that was written to earlier.
        """
        self._handlers[fd] = handler
        if last:
            self._last.add(fd)
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Watch a descriptor for these events instead; it may be unknown."""
        if fd in self._handlers:
            with suppress(OSError):
                self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor; it may be unknown."""
        if self._handlers.pop(fd, None) is not None:
            self._last.discard(fd)
            with suppress(OSError):
                self._epoll.unregister(fd)

    def later(self, seconds: float, action: Action) -> None:
        """Call `action` in `seconds` seconds; to be called on the loop's thread only."""
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

    def turn(self, until: float | None = None) -> None:
        """Sleep until something happens, and handle everything that has happened.

        Args:
            until: sleep until this time at most, if that is sooner than planned.
        """
        events = self._epoll.poll(self._sleep_time(until))
        self.asleep_until = 0.0
        handlers = self._handlers
        if len(events) > 1:
            last = self._last
            rare = [fd for fd, _ in events if fd not in last]
            if rare:
                for fd in rare:
                    handler = handlers.get(fd)  # an earlier one may have forgotten it
                    if handler is not None:
                        handler()
                events = [event for event in events if event[0] in last]
        for fd, _ in events:
            handler = handlers.get(fd)
            if handler is not None:
                handler()
        if self._posted:
            self._run_posted()
        if self._timers and self._timers[0][0] <= monotonic():
            self._run_timers()

    def _run_posted(self) -> None:
        for _ in range(len(self._posted)):
            self._posted.popleft()()

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= monotonic():
            heapq.heappop(self._timers)[2]()

    def close(self) -> None:
        """Close the descriptors of the loop itself."""
        if self._waker >= 0:
            waker, self._waker = self._waker, -1
            os.close(waker)
            self._epoll.close()

    @property
    def sleeps_until(self) -> float | None:
        """Until when the next turn sleeps at most; None for as long as nothing happens."""
        if self._posted:
            return 0.0
        due = self.planned
        if self._timers:
            first = self._timers[0][0]
            if due is None or first < due:
                return first
        return due

    def _sleep_time(self, until: float | None) -> float | None:
        self.asleep_until = FOREVER  # before it is looked at what is planned: it may be changed now
        due = self.sleeps_until
        if until is not None and (due is None or until < due):
            due = until
        if due is None:
            return None
        self.asleep_until = due
        return min(max(due - monotonic(), 0), _LONGEST)

    def _clear_waker(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._waker)
