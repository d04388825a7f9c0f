"""A lock on a file that ends with the process that has it, however that ends.

It is one of Linux's on the *open file description*: unlike a plain one, it is not lost when the
same process opens the file once more and closes it, and it also keeps a second user in the same
process out. But the kernel tells nobody who has such a lock. So a plain one, on another byte, says
which process it is.
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress

_LOCK = struct.Struct("hhqqi0q")
"""The kernel's `struct flock`: type, whence, start, length, process."""
_EXCLUSIVE, _NAMEPLATE = 0, 1
"""The bytes that the two locks are on; it makes no difference what is there."""


class Locked(Exception):
    """Another user has the file."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(pid)
        self.pid = pid
        """The process that has it; None if that cannot be told."""


def lock_file(descriptor: int) -> None:
    """Lock an open file for as long as it stays open.

    Raises:
        Locked: another user has it.
        OSError: the file system knows no locks.
    """
    wanted = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _EXCLUSIVE, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except (BlockingIOError, PermissionError):
        raise Locked(_holder(descriptor)) from None
    with suppress(OSError):  # nobody is kept out by this one
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _NAMEPLATE)


def unlock_file(descriptor: int) -> None:
    """Unlock it, even where copies of the descriptor are still open."""
    for command, start in ((fcntl.F_OFD_SETLK, _EXCLUSIVE), (fcntl.F_SETLK, _NAMEPLATE)):
        fcntl.fcntl(descriptor, command, _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, start, 1, 0))


def _holder(descriptor: int) -> int | None:
    asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _NAMEPLATE, 1, 0)
    kind, _, _, _, pid = _LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    if kind == fcntl.F_UNLCK:  # the kernel does not say so of the process that asks
        return os.getpid()
    return pid if pid > 0 else None
