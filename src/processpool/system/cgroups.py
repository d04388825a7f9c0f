"""The control groups of this process: their CPU quotas, and their count of OOM kills.

Two rules hold here. Both cgroup versions are read, in every group from the process's own up to the
root. And nothing here raises: a file that cannot be read counts as empty.
"""

from __future__ import annotations

import os
import signal
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_V1_LIMIT = "memory.limit_in_bytes"


def cpu_quotas(proc: Path = _PROC, mount: Path = _MOUNT) -> Iterator[int]:
    """Yield the quota of each group that has one, in CPUs rounded up."""
    for folder, version in _groups("cpu", proc, mount):
        if version == 2:
            words = _read(folder / "cpu.max").split()
        else:
            words = [_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")]
        quota, period = map(_number, words) if len(words) == 2 else (None, None)
        if quota is not None and period is not None and quota > 0 and period > 0:
            yield max(1, ceil(quota / period))


def oom_kills(proc: Path = _PROC, mount: Path = _MOUNT) -> int | None:
    """Return how many processes of this group the kernel has killed for lack of memory, or None."""
    for folder, version in _groups("memory", proc, mount):
        text = _read(folder / ("memory.events" if version == 2 else "memory.oom_control"))
        for line in text.splitlines():
            word, _, count = line.partition(" ")
            if word == "oom_kill":
                return _number(count)
    return None


class KernelsKills:
    """The processes of this control group that the kernel kills for lack of memory, from now on."""

    def __init__(self) -> None:
        self._seen = oom_kills() or 0

    def has_killed(self, exitcode: int) -> bool:
        """True if a process that has ended with this code is one of them; each is told once."""
        if exitcode != -signal.SIGKILL:
            return False
        kills = oom_kills() or 0
        if kills <= self._seen:
            return False
        self._seen += 1
        return True


def memory_limit(proc: Path = _PROC, mount: Path = _MOUNT) -> int:
    """Return the bytes of memory that this process's groups, or else the machine, allow."""
    limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder, version in _groups("memory", proc, mount):
        found = _number(_read(folder / ("memory.max" if version == 2 else _V1_LIMIT)).strip())
        limit = min(limit, found or limit)
    return limit


def _groups(controller: str, proc: Path, mount: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folders of the groups with this controller, innermost first, and their version."""
    for line in _read(proc).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        top = mount / controller if controllers else mount
        # In a container the folder may be missing, since the group's name is that on the host.
        folder = Path(group.strip("/"))
        for step in (folder, *folder.parents):
            yield top / step, 1 if controllers else 2


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:  # "max", or no such file
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
