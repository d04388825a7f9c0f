"""Which CPUs a measurement's processes run on.

Waking a process that sleeps on the other CPU may cost ten times what it costs on one's own, and
the kernel's choice flips from run to run. So what is about latency is measured as the kernel places
it, and also with both sides of it, ours and the yardstick's, placed alike by hand.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FREE = "free"
ONE_CPU = "one CPU"
TWO_CPUS = "two CPUs"


class Placement:
    """Keeps this process, and what it starts, on its first CPU, unless the placement is free."""

    def __init__(self, name: str) -> None:
        cpus = sorted(os.sched_getaffinity(0))
        if name == TWO_CPUS and len(cpus) < 2:
            raise ValueError("this machine has one CPU")
        self._second = cpus[1:2] if name == TWO_CPUS else []
        if name != FREE:
            os.sched_setaffinity(0, cpus[:1])

    def place_children(self, pids: Iterable[int]) -> None:
        """For two CPUs, move every thread of these processes to the second."""
        for pid in pids if self._second else ():
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), self._second)


def children() -> list[int]:
    """The processes that this one started and that still run."""
    import psutil

    return [child.pid for child in psutil.Process().children()]
