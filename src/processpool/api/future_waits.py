"""How one waits for many futures: their lock, and what the standard library waits with.

`concurrent.futures.wait` and `as_completed` take the locks of all futures, install a waiter in
each, and wait for an event that these set. Here there is one lock for all futures, which is held
for a few steps at a time; and whoever waits drives the engine, instead of being woken for each
answer by another thread.
"""

from __future__ import annotations

from _thread import RLock
from concurrent.futures import _base as futures
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.system.interrupts import HOLDERS, SHIELD, uninterrupted
from processpool.system.monitor import Bell
from processpool.system.platform import in_forks

if TYPE_CHECKING:
    from processpool.engine.backend import Backend

HOLDERS.update((__file__, futures.__file__))


class Futures:
    """The lock of all futures, as the standard library takes that of each: one by one.

    No interrupt comes until the last is released, as it would leave the lock held.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        in_forks(self.__init__)  # type: ignore[misc]

    @property
    def is_mine(self) -> bool:
        """True if this thread holds the lock."""
        return bool(self.lock._is_owned())  # type: ignore[attr-defined]

    def acquire(self) -> bool:
        """Take the lock, perhaps once more."""
        SHIELD.enter()
        return self.lock.acquire()

    def release(self) -> None:
        """Release it, as often as it was taken."""
        self.lock.release()
        SHIELD.leave()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


FUTURES = Futures()
"""The one lock of all futures of this process."""


class Waiters(list[Any]):
    """Those who wait for several futures, as `concurrent.futures.wait` and `as_completed` do."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Backend) -> None:
        self._engine = engine

    def append(self, waiter: Any) -> None:
        """Add one; it drives the engine while it waits, instead of being woken for each answer."""
        super().append(waiter)
        if type(getattr(waiter, "event", None)) is Event:
            waiter.event = LeadingEvent(self._engine)


class LeadingEvent:
    """A `threading.Event` for one thread to wait for, which drives the engine meanwhile."""

    def __init__(self, engine: Backend) -> None:
        self._engine = engine
        self._is_set = False
        self._bell: Bell | None = None

    def is_set(self) -> bool:
        """True from `set` to `clear`."""
        return self._is_set

    def set(self) -> None:
        """End the wait."""
        self._is_set = True
        bell = self._bell
        if bell is not None:
            bell.ring()

    def clear(self) -> None:
        """Have the next wait not end at once."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or the time is over; True if it is set."""
        self._engine.require_calm()
        self._wait(None if timeout is None else monotonic() + timeout)
        return self._is_set

    @uninterrupted
    def _wait(self, deadline: float | None) -> None:
        self._bell = bell = Bell()
        if not self._is_set:  # looked at once there is a bell, so that none is missed
            self._engine.wait(bell, deadline)
        self._bell = None
