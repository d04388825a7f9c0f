"""The callbacks of futures: how they are called, and which of them may take long."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

log = logging.getLogger("processpool")

_QUICK = ("asyncio.futures", "processpool.executors.work", "processpool.api.timing")


def call_back(callback: Callable[[Future[Any]], object], future: Future[Any]) -> None:
    """Call a callback; its exceptions go to the log, as the standard library has it."""
    try:
        callback(future)
    except Exception:
        log.exception("a callback of %r raised", future)


def may_wait(callback: Any) -> bool:
    """False for callbacks that surely return at once: asyncio's, and the pool's own."""
    return getattr(callback, "__module__", None) not in _QUICK
