"""When and where the item of a future has run, for those who do not want its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.api.future_waits import FUTURES
from processpool.core.jobs import Timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.api.futures import PoolFuture


class Watch:
    """A callback that is called where its future ends, even on a thread that others wait for."""

    def __init__(self, action: Callable[[Timing | None], None]) -> None:
        self._action = action

    def __call__(self, future: Any) -> None:
        """Tell of it."""
        self._action(timing_of(future))


def timing_of(future: PoolFuture[Any]) -> Timing | None:
    """Return where and when it ran, without unpickling its answer; None if it never did."""
    attempt = future._attempt
    if attempt is not None:
        return attempt.timing
    return None if future._record is None else Timing.of(future._record)


def when_ended(future: PoolFuture[Any], action: Callable[[Timing | None], None]) -> None:
    """Call `action` as soon as a future has ended, with what `timing_of` returns.

    It must return at once, and not use the pool. Nothing is hurried for it: it is called when the
    answer arrives for its reader's sake.
    """
    watch = Watch(action)
    with FUTURES.lock:
        is_open = not future.done()
        if is_open:
            future._done_callbacks.append(watch)
    if not is_open:
        watch(future)
