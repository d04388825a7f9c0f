"""How many CPUs this process may really use.

Two rules hold here. The smallest of what limits the process counts: its affinity mask and the CPU
quota of every control group above it, version 1 or 2 (a quota of one and a half CPUs counts as
two). And nothing here fails: what cannot be read does not limit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from math import ceil
from pathlib import Path

_PROC = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_Quota = Callable[[Path], int | None]


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use, at least 1."""
    return max(1, min([_allowed(), *_quotas(_PROC, _MOUNT)]))


def _allowed() -> int:
    if hasattr(os, "process_cpu_count"):  # Python 3.13, which also heeds PYTHON_CPU_COUNT
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(proc: Path, mount: Path) -> Iterator[int]:
    """Yield the quota, in whole CPUs, of each control group that has one."""
    for line in _read(proc).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            yield from _above(mount, group, _quota_v2)
        elif "cpu" in controllers.split(","):
            yield from _above(mount / "cpu", group, _quota_v1)


def _above(mount: Path, group: str, quota: _Quota) -> Iterator[int]:
    # In a container the group's own folder may be missing: it is then named as the host sees it.
    folder = Path(group.strip("/"))
    for step in (folder, *folder.parents):
        found = quota(mount / step)
        if found is not None:
            yield found


def _quota_v2(folder: Path) -> int | None:
    words = _read(folder / "cpu.max").split()
    return _cpus(words[0], words[1]) if len(words) == 2 else None


def _quota_v1(folder: Path) -> int | None:
    return _cpus(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _cpus(quota: str, period: str) -> int | None:
    try:
        microseconds, each = int(quota), int(period)
    except ValueError:  # "max", or no such file
        return None
    return max(1, ceil(microseconds / each)) if microseconds > 0 and each > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
