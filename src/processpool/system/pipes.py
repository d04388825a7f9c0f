"""What is in a pipe."""

from __future__ import annotations

import struct
from contextlib import suppress

with suppress(ImportError):  # not Linux: whoever opens a pool is told
    import fcntl
    import termios


def unread(pipe: int) -> int:
    """Return the bytes in a pipe that its reader has not read yet; 0 if it is closed."""
    if pipe < 0:
        return 0
    answer = fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4)
    count: int = struct.unpack("i", answer)[0]
    return count
