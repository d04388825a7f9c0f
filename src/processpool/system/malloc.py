"""Memory for large messages.

One rule holds here: only a process that has met a large message changes how it allocates. A new
block of memory costs a page fault per 4 KiB, often more than carrying the message through the pipe,
and glibc gives blocks above 32 MiB back at once, only to fetch new ones for the next message.
"""

from __future__ import annotations

LARGE = 16 * 1024 * 1024
"""Bytes from which on a message is worth `keep_large_blocks`; glibc keeps smaller blocks itself."""

_KEPT = 256 * 1024 * 1024
"""Blocks over this size, and free memory over it, still go back to the system."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_large_blocks() -> None:
    """Let this process reuse freed blocks up to 256 MiB; see mallopt(3). Only with glibc."""
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, _KEPT)
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
