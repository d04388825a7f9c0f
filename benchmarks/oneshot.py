"""A process for each message, started before it comes, against one that is started for it.

One message at a time, with pauses as long as a start: then the next process stands ready.
"""

from __future__ import annotations

import shutil
import subprocess
from statistics import median
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from benchmarks.harness import OURS, Case, Figures, Probe, Row, Target, at_most
from benchmarks.pools import command_pool
from benchmarks.units import MILLISECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

SPAWN = "spawn and run"
PROGRAMS: dict[str, tuple[list[str], str, Target]] = {
    "maxima": (["maxima", "--very-quiet"], "1+1;\n", at_most(1 / 20)),
    "Rscript": (["Rscript", "-"], "cat(1+1)", at_most(1 / 15)),
    "node": (["node", "-"], "console.log(1+1)", at_most(1 / 5)),
}
"""Name → its command, a message, and what is wanted of the pool."""
MARGIN = 1.3
"""A pause is so many times as long as a start."""


def cases(scale: float) -> Sequence[Case]:
    """A case for each program that is installed; `scale` shortens them."""
    items = max(round(15 * scale), 3)
    return [_case(name, items) for name in PROGRAMS if shutil.which(name)]


def _case(name: str, items: int) -> Case:
    options: dict[str, Any] = {"name": name, "items": items}
    probes = {
        OURS: Probe("benchmarks.oneshot:measure_pool", options),
        SPAWN: Probe("benchmarks.oneshot:measure_spawn", options),
    }
    rows = (Row("p50", MILLISECONDS, (SPAWN,), PROGRAMS[name][2], "one item, p50"),)
    return Case(f"oneshot-{name.lower()}", f"oneshot, {name}", probes, rows)


def measure_spawn(name: str, items: int) -> Figures:
    """The median of starting the program for each message."""
    return {"p50": median(_spawn(name) for _ in range(items))}


def measure_pool(name: str, items: int) -> Figures:
    """The median of a call to a pool in which one process stands ready."""
    command, message, _ = PROGRAMS[name]
    pause = MARGIN * max(_spawn(name) for _ in range(3))
    times = []
    worker = {"kind": "command", "command": command, "protocol": "oneshot"}
    with command_pool("oneshot", worker, 1) as pool:
        for _ in range(items):
            sleep(pause)
            began = perf_counter()
            pool.call(message)
            times.append(perf_counter() - began)
    return {"p50": median(times)}


def _spawn(name: str) -> float:
    command, message, _ = PROGRAMS[name]
    began = perf_counter()
    subprocess.run(command, input=message, text=True, capture_output=True, check=True)
    return perf_counter() - began
