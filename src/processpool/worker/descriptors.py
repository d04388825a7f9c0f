"""Moves a worker's own descriptors where neither its items nor their children meet them."""

from __future__ import annotations

import fcntl
import os

_FIRST = 100


def high(descriptor: int) -> int:
    """Move a descriptor to a number that nobody else uses, closed on exec."""
    try:
        os.set_inheritable(descriptor, False)
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST)
    except OSError:  # more than RLIMIT_NOFILE; or there is none
        return descriptor
    os.close(descriptor)
    return moved
