"""The memory of processes: that of a process and its descendants now, and its peak."""

from __future__ import annotations

import glob
import os
from contextlib import suppress

_RESET_PEAK = b"5"
"""What has the kernel set back the peak of a process to what it has now."""


def read_peak(pid: int) -> int | None:
    """Return the most bytes that a process had in memory; None if it has ended."""
    try:
        fd = os.open(f"/proc/{pid}/status", os.O_RDONLY)
    except OSError:
        return None
    try:
        status = os.read(fd, 4096)
    except OSError:
        return None
    finally:
        os.close(fd)
    _, found, rest = status.partition(b"VmHWM:")
    return int(rest.split(None, 1)[0]) * 1024 if found else None


def reset_peak(pid: int) -> None:
    """Set the peak of a process back to what it has now, where the kernel allows that."""
    with suppress(OSError):
        fd = os.open(f"/proc/{pid}/clear_refs", os.O_WRONLY)
        try:
            os.write(fd, _RESET_PEAK)
        finally:
            os.close(fd)


def tree_memory(pid: int) -> int:
    """Return the resident memory of a process and its descendants, in bytes; 0 if it has ended.

    Finding descendants scans all processes of the machine, so that is only done for a process that
    has children.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        family = [process, *(process.children(recursive=True) if _has_children(pid) else ())]
        return sum(_memory(member) for member in family)
    except psutil.Error:
        return 0


def _memory(process: object) -> int:
    import psutil

    try:
        memory: int = process.memory_info().rss  # type: ignore[attr-defined]
    except psutil.Error:
        return 0
    return memory


def _has_children(pid: int) -> bool:
    for path in glob.iglob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as file:
                if file.read(1):
                    return True
        except OSError:
            continue
    return False
