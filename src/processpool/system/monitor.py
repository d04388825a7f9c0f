"""A monitor (a lock with condition waits) that stays intact if a thread is interrupted anywhere.

`threading.Condition` is written in Python: a Ctrl-C between its instructions can leave its lock
held forever, or release it twice. Here, acquiring and releasing the lock are single C calls, and a
waiter does not hold the lock: each has its own `Bell`, and checks its condition again when that has
rung. The owner decides how threads wait: those that wait for a pool run its engine meanwhile.
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
    """Waits until a bell has rung, or until a monotonic time; returns True if it has rung."""

T = TypeVar("T")

HOLDERS.add(__file__)

WAIT = 0.5
"""The most seconds of a single wait: a signal that arrives just before a wait does not end it. (And
system calls overflow after some weeks.)"""

must_not_wait: set[int] = set()
"""The threads that a pool may be waiting for, which would deadlock if they waited for the pool."""


_MUST_NOT_WAIT = (
    "this code must not wait for the pool, as the pool waits for it: a signal's handler, a "
    "finaliser, and what pickles may submit to the pool, but not wait; do that elsewhere"
)


class Bell:
    """A one-shot event for a single waiting thread. Its lock is only created when that sleeps."""

    __slots__ = ("_lock", "_owner", "rung", "wake")

    def __init__(self) -> None:
        """Create a bell for the calling thread to wait for.

        Raises:
            RuntimeError: this thread must not wait.
        """
        self._owner = get_ident()
        if self._owner in must_not_wait:
            raise RuntimeError(_MUST_NOT_WAIT)
        self.rung = False
        self.wake: Callable[[], None] | None = None
        """Wakes the thread if it does not wait by `sleep`, but for example in an epoll."""
        self._lock: Any = None

    def ring(self) -> None:
        """Set the event, and wake the thread."""
        self.rung = True
        self.nudge()
        wake = self.wake
        if wake is not None and get_ident() != self._owner:
            wake()

    def nudge(self) -> None:
        """Wake the thread without setting the event, so that it checks whether to sleep again."""
        lock = self._lock
        if lock is not None:
            with suppress(RuntimeError):  # another thread has released it already
                lock.release()

    def prepare(self) -> None:
        """Create the lock, so that a nudge before the next sleep ends that."""
        if self._lock is None:
            lock = allocate_lock()
            lock.acquire()
            self._lock = lock

    def sleep(self, seconds: float) -> None:
        """Sleep until it rings or is nudged, for at most `seconds`; see `INTERRUPTIBLE`."""
        self.prepare()
        if not self.rung:  # checked after creating the lock, so that no ring is missed
            self._lock.acquire(True, seconds)


def sleep_until(bell: Bell, deadline: float | None) -> bool:
    """Sleep until the bell has rung, or until the deadline; return True if it has rung."""
    while not bell.rung:
        left = WAIT if deadline is None else deadline - monotonic()
        if left <= 0:
            return False
        with INTERRUPTIBLE:
            bell.sleep(min(left, WAIT))
    return True


class Monitor(RLock):  # type: ignore[misc]
    """A reentrant lock with condition waits, used in a `with` statement.

    Where no signal's handler can raise, `acquire` and `release` do the same in half the time.
    """

    def __new__(cls, *_: object) -> Self:  # noqa: D102 - RLock takes no arguments
        return super().__new__(cls)

    def __init__(self, wait: Wait = sleep_until) -> None:
        """`wait` is the function that waiting threads call."""
        self._bells: list[Bell] = []
        self._wait = wait

    @property
    def is_mine(self) -> bool:
        """True if the calling thread holds the lock.

        This is for code that may interrupt the thread anywhere: signal handlers and finalizers.
        """
        return bool(self._is_owned())  # type: ignore[attr-defined]

    def notify_all(self) -> None:
        """Have every waiting thread check its condition again; call it with the lock held."""
        bells = self._bells
        while bells:
            bells.pop().ring()

    def require_free(self) -> None:
        """Check that the calling thread may wait: it must not hold the lock.

        Raises:
            RuntimeError: this thread holds the lock.
        """
        if self.is_mine:
            raise RuntimeError(_MUST_NOT_WAIT)

    def require_calm(self) -> None:
        """Like `require_free`, but also reject signal handlers that interrupt the pool's code.

        Raises:
            RuntimeError: this thread holds the lock, or runs such a handler.
        """
        self.require_free()
        if SHIELD.is_up:
            raise RuntimeError(_MUST_NOT_WAIT)

    @uninterrupted
    def wait_for(self, look: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until `look` returns something true; call it without the lock held.

        Args:
            look: the condition; called with the lock held. What it raises ends the wait.
            timeout: the most seconds to wait; None for no limit.

        Returns:
            the last result of `look`, which is false on timeout.

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
