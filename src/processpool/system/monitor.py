"""A lock, and waits for changes of what it guards, safe wherever a thread is interrupted.

`threading.Condition` is written in Python: a Ctrl-C between its instructions leaves its lock held
forever, or has it released twice. Here, taking and releasing the lock are single steps, and nobody
waits with the lock in hand: each waiter has a bell of its own, and looks again when it has rung.
How a waiter spends the wait is up to the owner: threads that wait for a pool drive it meanwhile.
"""

from __future__ import annotations

from _thread import RLock, allocate_lock, get_ident
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from processpool.system.interrupts import HOLDERS, INTERRUPTIBLE, SHIELD, uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    Wait = Callable[["Bell", float | None], bool]
    """Waits until a bell has rung, or until a monotonic time; True if it has rung."""

T = TypeVar("T")

HOLDERS.add(__file__)

WAIT = 0.5
"""Seconds that a caller's thread waits at a time, at most: a signal that comes in the last instant
before a wait does not end it. (And for some weeks the system's calls overflow.)"""

must_not_wait: set[int] = set()
"""The threads that a pool waits for: to wait for the pool on one of them would never end."""


_MUST_NOT_WAIT = (
    "this code must not wait for the pool, as the pool waits for it: a signal's handler, a "
    "finaliser, and what pickles may submit to the pool, but not wait; do that elsewhere"
)


class Bell:
    """What one thread waits for, and others ring. The lock is only there once it sleeps."""

    __slots__ = ("_lock", "_owner", "rung", "wake")

    def __init__(self) -> None:
        """Make one for this thread.

        Raises:
            RuntimeError: this thread must not wait.
        """
        self._owner = get_ident()
        if self._owner in must_not_wait:
            raise RuntimeError(_MUST_NOT_WAIT)
        self.rung = False
        self.wake: Callable[[], None] | None = None
        """Ends the wait of a thread that does not sleep, but does something else meanwhile."""
        self._lock: Any = None

    def ring(self) -> None:
        """Say that what was waited for has come."""
        self.rung = True
        self.nudge()
        wake = self.wake
        if wake is not None and get_ident() != self._owner:
            wake()

    def nudge(self) -> None:
        """End the sleep of the thread that waits, if it sleeps; it may sleep again after a look."""
        lock = self._lock
        if lock is not None:
            with suppress(RuntimeError):  # somebody else was faster
                lock.release()

    def prepare(self) -> None:
        """From here on a nudge is not lost: it ends the next sleep, if it comes before that."""
        if self._lock is None:
            lock = allocate_lock()
            lock.acquire()
            self._lock = lock

    def sleep(self, seconds: float) -> None:
        """Sleep until it rings or is nudged, for `seconds` at most; see `INTERRUPTIBLE`."""
        self.prepare()
        if not self.rung:  # looked at after the lock was put there, so that no ring is missed
            self._lock.acquire(True, seconds)


def sleep_until(bell: Bell, deadline: float | None) -> bool:
    """Sleep until the bell has rung or the deadline has come; True if it has rung."""
    while not bell.rung:
        left = WAIT if deadline is None else deadline - monotonic()
        if left <= 0:
            return False
        with INTERRUPTIBLE:
            bell.sleep(min(left, WAIT))
    return True


class Monitor(RLock):  # type: ignore[misc]
    """Use it in a `with` to hold the lock."""

    def __new__(cls, *_: object) -> Self:  # noqa: D102 - RLock takes no arguments
        return super().__new__(cls)

    def __init__(self, wait: Wait = sleep_until) -> None:
        """`wait` is how threads spend their time that wait for a change."""
        self._bells: list[Bell] = []
        self._wait = wait

    @property
    def is_mine(self) -> bool:
        """True if this thread holds the lock, and what runs now has come in between.

        That is a signal's handler, or a finalizer that the garbage collector calls.
        """
        return bool(self._is_owned())  # type: ignore[attr-defined]

    @property
    def is_awaited(self) -> bool:
        """True if a thread waits for a change."""
        return bool(self._bells)

    def notify_all(self) -> None:
        """With the lock: have every waiting thread look again."""
        bells = self._bells
        while bells:
            bells.pop().ring()

    def require_free(self) -> None:
        """Refuse to wait for a change that this very thread keeps from coming.

        Raises:
            RuntimeError: this thread holds the lock.
        """
        if self.is_mine:
            raise RuntimeError(_MUST_NOT_WAIT)

    def require_calm(self) -> None:
        """Like `require_free`, and refuse in a signal's handler that interrupts anything else.

        Raises:
            RuntimeError: this thread holds the lock, or is such a handler.
        """
        self.require_free()
        if SHIELD.is_up:
            raise RuntimeError(_MUST_NOT_WAIT)

    @uninterrupted
    def wait_for(self, look: Callable[[], T], timeout: float | None = None) -> T:
        """Without the lock: wait until what `look`, called with it, returns is true.

        Args:
            look: says whether it is so; what it raises ends the waiting.
            timeout: seconds to wait at most; None for as long as it takes.

        Returns:
            what `look` returned last: something false if the time is over.

        Raises:
            RuntimeError: this thread must not wait.
        """
        self.require_free()
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            with self:
                found = look()
                if found or (deadline is not None and deadline <= monotonic()):
                    return found
                bell = Bell()
                self._bells.append(bell)
            try:
                self._wait(bell, deadline)
            finally:
                if not bell.rung:
                    with self:
                        if bell in self._bells:
                            self._bells.remove(bell)
