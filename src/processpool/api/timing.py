"""When and where the item of a future has run, for those who do not want its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.api.future_waits import FUTURES
from processpool.core.jobs import Timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.api.futures import PoolFuture


class Watch:
    """Calls `action` with each of the futures that it watches, as soon as that has ended.

    That is on a thread that others may wait for: the action must return at once, and not use the
    pool. Nothing is hurried for it: it is called when the answer arrives for its reader's sake.
    """

    def __init__(self, action: Callable[[PoolFuture[Any]], None]) -> None:
        self._action = action

    def watch(self, future: PoolFuture[Any]) -> None:
        """Watch a future, which may have ended."""
        with FUTURES.lock:
            is_open = not future.done()
            if is_open:
                future._done_callbacks.append(self)
        if not is_open:
            self._action(future)

    def __call__(self, future: Any) -> None:
        """Tell of it."""
        self._action(future)


def timing_of(future: PoolFuture[Any]) -> Timing | None:
    """Return where and when it ran, without unpickling its answer; None if it never did."""
    attempt = future._attempt
    if attempt is not None:
        return attempt.timing
    return None if future._record is None else Timing.of(future._record)


def has_failed(future: PoolFuture[Any]) -> bool:
    """Return whether one that has ended has no value; its answer is not unpickled."""
    return future._exception is not None or future.cancelled()
