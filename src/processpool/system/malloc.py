"""Tuning of glibc's malloc for large messages.

One rule holds here: only a process that has had a large message changes its allocator. A new block
of memory costs a page fault per 4 KiB, often more than sending the message through the pipe, and
glibc returns blocks above 32 MiB to the system at once, only to request new ones for the next
message.
"""

from __future__ import annotations

LARGE = 16 * 1024 * 1024
"""The message size, in bytes, from which `keep_large_blocks` helps; glibc keeps smaller blocks."""

_MAX_REUSED = 256 * 1024 * 1024
"""The size, in bytes, from which blocks and free memory are still returned to the system."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_large_blocks() -> None:
    """Have this process reuse freed blocks of up to 256 MiB; see mallopt(3). Only with glibc."""
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, _MAX_REUSED)
    mallopt(_M_TRIM_THRESHOLD, _MAX_REUSED)
