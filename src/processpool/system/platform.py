"""The system's features that pools need, and the error message where they are missing."""

from __future__ import annotations

import os
import select
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WHERE = (
    "processpool runs on Linux (5.3 or later) with CPython 3.11 or later; on Windows use WSL, on "
    "macOS a Linux container"
)
"""The supported systems, as a sentence for error messages."""


def signals(*names: str) -> tuple[int, ...]:
    """Return the numbers of the signals that this system has; the name `INT` means SIGINT."""
    known = signal.Signals.__members__
    return tuple(int(known[f"SIG{name}"]) for name in names if f"SIG{name}" in known)


def in_forks(action: Callable[[], None]) -> None:
    """Call `action` in every forked child of this process, if the system has fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=action)


def missing() -> str | None:
    """Return a sentence why no pool can be opened in this process; None if one can."""
    patcher = _patcher()
    if patcher is not None:
        return (
            f"{patcher} has replaced the threads and the polling that a pool needs: open the pool "
            "in a process that is not patched, or leave these as they are: "
            "monkey.patch_all(thread=False, select=False, subprocess=False, signal=False, os=False)"
        )
    if not (hasattr(select, "epoll") and hasattr(os, "pidfd_open") and hasattr(os, "eventfd")):
        return f"this system ({sys.platform}) has no pools: {WHERE}"
    return None


def _patcher() -> str | None:
    """Return the library that has replaced threads by greenlets in this process; None if none."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and any(map(gevent.is_module_patched, ("threading", "select"))):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and any(map(eventlet.is_monkey_patched, ("thread", "select"))):
        return "eventlet"
    return None
