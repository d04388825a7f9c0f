"""A budget of memory: 200 items, 20 of which need three times their share of it.

In a control group of its own, if one can be made, which is the kernel's to enforce: the budget is
80 % of that.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.harness import OURS, Case, Figures, Probe, Row, at_most
from benchmarks.units import COUNT
from processpool import ProcessPool
from processpool.system.cgroups import oom_kills

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1 << 20
WORKERS, BUDGET = 4, 640 * MIB
SMALL, LARGE = 80, 480
"""MiB that items need: half of their share of the budget, and three times that."""
SECONDS = 0.2
"""How long an item keeps its memory, once it has it."""
EVERY = 10
"""One item in so many is large."""
BASE = 10 * MIB
"""What a worker needs for itself."""


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    items = round(200 * scale)
    rows = (
        Row("ratio", COUNT, (), at_most(1.3), "time, in ideal schedules"),
        Row("kills", COUNT, (), at_most(0), "kills by the kernel"),
    )
    probes = {OURS: Probe("benchmarks.memory_budget:measure", {"items": items})}
    return [Case("memory-budget", f"{items} items, every tenth large", probes, rows)]


def hold(size: int) -> int:
    """Need so many MiB for a while."""
    from time import sleep

    held = bytearray(size * MIB)
    sleep(SECONDS)
    return len(held) // MIB


def measure(items: int) -> Figures:
    """Run the items; the time that it takes, as a multiple of the ideal schedule's."""
    _enter_group(BUDGET * 5 // 4)
    sizes = [LARGE if n % EVERY == EVERY // 2 else SMALL for n in range(items)]
    before = oom_kills() or 0
    declared = {
        "worker": {"kind": "python"},
        "size": {"min": WORKERS, "max": WORKERS},
        "memory": {"budget": f"{BUDGET // MIB}MiB"},
    }
    with ProcessPool.from_dict(declared) as pool:
        pool.wait_ready()
        start = perf_counter()
        outcomes = pool.map(hold, sizes, details=True)
        seconds = perf_counter() - start
    if outcomes.values() != sizes:
        raise AssertionError("wrong answers")
    needs = [size * MIB + BASE for size in sizes]
    ideal = ideal_seconds([outcome.seconds for outcome in outcomes], needs)
    return {"ratio": seconds / ideal, "kills": (oom_kills() or 0) - before, "seconds": seconds}


def ideal_seconds(durations: Sequence[float], needs: Sequence[int]) -> float:
    """How long the items take, in the better of two orders, for one who knows all of them."""
    large_first = sorted(range(len(needs)), key=lambda n: -needs[n])
    return min(_schedule(durations, needs, order) for order in (large_first, large_first[::-1]))


def _schedule(durations: Sequence[float], needs: Sequence[int], order: Sequence[int]) -> float:
    """The end of a schedule in which the first item that fits is begun as soon as one ends."""
    waiting, now = list(order), 0.0
    running: list[tuple[float, int]] = []
    while waiting or running:
        used = sum(needs[n] for _, n in running)
        used += BASE * (WORKERS - len(running))
        fitting = (n for n in waiting if used - BASE + needs[n] <= BUDGET)
        item = next(fitting, None) if len(running) < WORKERS else None
        if item is not None:
            waiting.remove(item)
            running.append((now + durations[item], item))
        else:
            now, _ = ended = min(running)
            running.remove(ended)
    return now


def _enter_group(limit: int) -> None:
    """Put this process into a control group with so many bytes, if one can be made."""
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = Path("/sys/fs/cgroup/memory" if controllers else "/sys/fs/cgroup")
        folder = top / path.strip("/") / f"benchmark-{os.getpid()}"
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        try:
            folder.mkdir()
            (folder / name).write_text(str(limit), encoding="ascii")
            (folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        except OSError:
            continue
        return
