"""Moving a worker's own descriptors out of the way of its items and their child processes."""

from __future__ import annotations

import fcntl
import os

_FIRST = 100


def high(descriptor: int) -> int:
    """Move a descriptor to an unused high number, close-on-exec; return that."""
    try:
        os.set_inheritable(descriptor, False)
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST)
    except OSError:  # RLIMIT_NOFILE is lower, or no descriptor is left
        return descriptor
    os.close(descriptor)
    return moved
