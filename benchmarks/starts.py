"""What importing costs, and how long the first answer takes, from the start of the interpreter on.

Of imports the CPU time counts; the interpreter's own start is subtracted. Bytecode is there, as it
is once the package was installed or used.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.harness import OURS, Case, Figures, Probe, Row, at_most
from benchmarks.units import MILLISECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

IMPORTS = {
    "ours": "import processpool; processpool.ProcessPool",
    "theirs": "import concurrent.futures.process",
    "bare": "pass",
}
POOL = (
    "from processpool import ProcessPool; pool = ProcessPool(max_workers=1).open(); "
    "print(pool.call(abs, -1), flush=True); pool.close()"
)
EXECUTOR = (
    "from concurrent.futures import ProcessPoolExecutor; pool = ProcessPoolExecutor(1); "
    "print(pool.submit(abs, -1).result(), flush=True); pool.shutdown()"
)
FILE = "worker: {kind: command, command: [cat], protocol: lines}\nsize: {max: 1}\n"
SOON = 0.25
"""Seconds after the interpreter's own start until `processpool run` has written its first line."""


def cases(scale: float) -> Sequence[Case]:
    """All cases; `scale` shortens them."""
    options = {"rounds": max(round(20 * scale), 3)}
    imports = Row(
        "ours", MILLISECONDS, (OURS,), at_most(1), "import ProcessPool", OURS, "theirs",
        "import concurrent.futures.process",
    )  # fmt: skip
    run = Row("run", MILLISECONDS, (), at_most(SOON), "first line of `processpool run`")
    pool = Row(
        "pool", MILLISECONDS, (OURS,), None, "first answer of a pool", OURS, "executor",
        "ProcessPoolExecutor",
    )  # fmt: skip
    probes = {OURS: Probe("benchmarks.starts:measure_imports", options)}
    first = {OURS: Probe("benchmarks.starts:measure_first_answers", options)}
    return [
        Case("start-import", "CPU time beyond the interpreter's", probes, (imports,)),
        Case("start-answer", "time beyond the interpreter's", first, (run, pool)),
    ]


def measure_imports(rounds: int) -> Figures:
    """The CPU time of imports, in turns."""
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(rounds + 1):
        for name, code in IMPORTS.items():
            before = _children()
            subprocess.run([sys.executable, "-c", code], env=_environ(), check=True)
            times[name].append(_children() - before)
    middle = {name: median(some[1:]) for name, some in times.items()}
    return {name: middle[name] - middle["bare"] for name in ("ours", "theirs")}


def measure_first_answers(rounds: int) -> Figures:
    """The time until something was written, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        declared, lines = Path(folder) / "pool.yaml", Path(folder) / "lines"
        declared.write_text(FILE)
        lines.write_text("a line\n")
        commands = {
            "bare": ["-c", "print(1)"],
            "run": ["-m", "processpool", "run", str(declared), str(lines)],
            "pool": ["-c", POOL],
            "executor": ["-c", EXECUTOR],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds + 1):
            for name, arguments in commands.items():
                times[name].append(_until_first_line(arguments))
    middle = {name: median(some[1:]) for name, some in times.items()}
    return {name: middle[name] - middle["bare"] for name in ("run", "pool", "executor")}


def _until_first_line(arguments: list[str]) -> float:
    began = perf_counter()
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=_environ()) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise AssertionError(f"no answer of {command}")
        return perf_counter() - began


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
