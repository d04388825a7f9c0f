"""An event loop: an epoll, an eventfd to wake it, and timers.

Handlers, posted actions and timers run on the thread that calls `turn`, which only one thread may
do at a time. Any thread may call `watch`, `forget`, `post` and `wake`; the latter two take no lock,
so finalizers may call them.
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

from processpool.system.interrupts import is_raised_by_a_handler

if TYPE_CHECKING:
    from collections.abc import Callable

    Action = Callable[[], object]

FOREVER = float("inf")
MAX_SLEEP = 1e6
"""The most seconds of one sleep, as system calls overflow after some weeks."""


def ring(eventfd: int) -> None:
    """Wake whoever sleeps until this eventfd is rung; nothing happens if it is closed, or -1.

    An interrupt may come in here, as calls wake loops: it is not taken for the system's error.
    """
    if eventfd >= 0:
        try:
            os.eventfd_write(eventfd, 1)
        except OSError as error:  # it was just closed
            if is_raised_by_a_handler(error):
                raise


class Loop:
    """Waits for events of descriptors, timers and other threads, and calls their handlers."""

    def __init__(self) -> None:
        """Open the loop's descriptors.

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
        """The descriptors whose handlers are called after all others of the same turn."""
        self._posted: deque[Action] = deque()
        self._timers: list[tuple[float, int, Action]] = []
        self._order = count()
        self.planned: float | None = None
        """The time at which `turn` must return, if there is no event before; None for no limit."""
        self.asleep_until = 0.0
        """The time until which the current turn sleeps; 0 while no turn does."""
        self.watch(self._waker, select.EPOLLIN, self._clear_waker)

    @property
    def fd(self) -> int:
        """The epoll's own descriptor, which is readable while there are events."""
        return self._epoll.fileno()

    def watch(self, fd: int, events: int, handler: Action, *, last: bool = False) -> None:
        """Call `handler` when one of these epoll events occurs on the descriptor.

        With `last`, it is called after all other handlers of the turn: the kernel does not report
        events in the order in which they occurred.
        """
        self._handlers[fd] = handler
        if last:
            self._last.add(fd)
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Change the events that a descriptor is watched for; it need not be watched."""
        if fd in self._handlers:
            with suppress(OSError):
                self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor; it need not be watched."""
        if self._handlers.pop(fd, None) is not None:
            self._last.discard(fd)
            with suppress(OSError):
                self._epoll.unregister(fd)

    def later(self, seconds: float, action: Action) -> None:
        """Call `action` in `seconds` seconds; only the thread that calls `turn` may use this."""
        heapq.heappush(self._timers, (monotonic() + seconds, next(self._order), action))

    def post(self, action: Action) -> None:
        """Call `action` in the next turn; wake the loop for it."""
        self._posted.append(action)
        self.wake()

    def wake(self) -> None:
        """Wake `turn`, if it sleeps; otherwise the next one does not sleep."""
        ring(self._waker)

    def turn(self, until: float | None = None, at_most: float = MAX_SLEEP) -> None:
        """Sleep until there are events, and call all their handlers.

        Args:
            until: the time at which to stop sleeping, if that is earlier than `planned`.
            at_most: the most seconds to sleep.
        """
        events = self._epoll.poll(self._sleep_time(until, at_most))
        self.asleep_until = 0.0
        handlers = self._handlers
        if len(events) > 1:
            last = self._last
            for fd, _ in events:
                if fd not in last:
                    events = self._without_rare(events)
                    break
        for fd, _ in events:
            handler = handlers.get(fd)  # an earlier handler may have called `forget`
            if handler is not None:
                handler()
        if self._posted:
            self._run_posted()
        if self._timers and self._timers[0][0] <= monotonic():
            self._run_timers()

    def _without_rare(self, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Call the handlers of all that is not to come last; return the other events."""
        last = self._last
        for fd in [fd for fd, _ in events if fd not in last]:
            handler = self._handlers.get(fd)
            if handler is not None:
                handler()
        return [event for event in events if event[0] in last]

    def _run_posted(self) -> None:
        for _ in range(len(self._posted)):
            self._posted.popleft()()

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= monotonic():
            heapq.heappop(self._timers)[2]()

    def close(self) -> None:
        """Close the loop's own descriptors."""
        if self._waker >= 0:
            waker, self._waker = self._waker, -1
            os.close(waker)
            self._epoll.close()

    @property
    def sleeps_until(self) -> float | None:
        """The time until which the next turn may sleep; None for no limit."""
        if self._posted:
            return 0.0
        due = self.planned
        if self._timers:
            first = self._timers[0][0]
            if due is None or first < due:
                return first
        return due

    def _sleep_time(self, until: float | None, at_most: float) -> float:
        self.asleep_until = FOREVER  # before reading `planned`, which others may change now
        due = self.planned
        if self._posted or self._timers:
            due = self.sleeps_until
        if until is not None and (due is None or until < due):
            due = until
        if due is None:
            return at_most
        self.asleep_until = due
        return min(max(due - monotonic(), 0), at_most)

    def _clear_waker(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._waker)
