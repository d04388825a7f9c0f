"""The number of CPUs that this process may use, by its affinity and its cgroups' quotas."""

from __future__ import annotations

import os

from processpool.system.cgroups import cpu_quotas


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use, at least 1."""
    return max(1, min([_allowed(), *cpu_quotas()]))


def _allowed() -> int:
    if hasattr(os, "process_cpu_count"):  # Python 3.13, which also heeds PYTHON_CPU_COUNT
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
