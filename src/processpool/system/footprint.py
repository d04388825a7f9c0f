"""What a process and its descendants use of memory, measured often.

Memory that several processes share counts in equal parts (proportional set size). The kernel takes
long to tell that, so it is asked only now and then, how much of what is shared counts; and the
resident pages, which it tells at once, are counted in between.
"""

from __future__ import annotations

import os

from processpool.system.memory import _has_children

PAGE = os.sysconf("SC_PAGE_SIZE")
LOOK_EVERY = 1.0
"""Seconds between two looks at who the descendants are."""
WEIGH_EVERY = 30.0
"""Seconds between two looks at what is shared, and for large processes that is long enough."""
LARGE = 128 * 1024 * 1024
"""Bytes: of a process that has more, the kernel takes milliseconds to tell what is shared."""


class Footprint:
    """The memory of one process and its descendants."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._family = [pid]
        self._look_at = self._weigh_at = 0.0
        self._share = 1.0
        """How much of what is shared counts."""

    def measure(self, now: float) -> int:
        """Return the bytes that they use; 0 if they have ended."""
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._family = _family(self._pid)
        own = shared = 0
        for pid in self._family:
            resident, common = _resident(pid)
            own += resident - common
            shared += common
        if now >= self._weigh_at:
            self._weigh(now, own, shared)
        return own + int(self._share * shared)

    def _weigh(self, now: float, own: int, shared: int) -> None:
        """See how much of what is shared counts."""
        if own + shared > LARGE:
            return
        self._weigh_at = now + WEIGH_EVERY
        weight = sum(map(_proportional, self._family))
        if weight and shared:
            self._share = min(max((weight - own) / shared, 0.0), 1.0)


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    if not _has_children(pid):
        return [pid]
    import psutil

    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return [pid]


def _resident(pid: int) -> tuple[int, int]:
    """The bytes of a process in memory, and those of them that others may share."""
    fields = _read(f"/proc/{pid}/statm").split()
    return (int(fields[1]) * PAGE, int(fields[2]) * PAGE) if len(fields) > 2 else (0, 0)


def _proportional(pid: int) -> int:
    """The proportional set size of a process."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(4096)
    except OSError:  # it has ended
        return b""
