"""Measures the whole standard library of the running interpreter with the pool of metrics.yaml.

Prints the ten most complex modules, how fast it went, and what one process a file would have cost:
the same worker program, started anew for each file of a sample.
"""

from __future__ import annotations

import random
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import gettempdir
from time import perf_counter
from typing import TYPE_CHECKING, Any

from processpool import Outcome, ProcessPool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent
WORKER = HERE / "workers" / "code_metrics.py"
OTHERS = {"site-packages", "dist-packages", "__pycache__"}
"""Folders inside the standard library's that do not belong to it."""
SAMPLE = 40
ROW = "{:>10}  {:>5}  {:>9}  {:<38}  {}"


def main() -> None:
    """Run the pool over all files, then compare on a sample."""
    library = Path(sysconfig.get_path("stdlib"))
    files = modules_of(library)
    print(f"{len(files)} files in {library}")
    with ProcessPool.from_yaml(HERE / "metrics.yaml") as pool:
        workers = pool.config.size.max
        began = perf_counter()
        outcomes: list[Outcome] = list(
            pool.imap(files, on_error="return", details=True, progress="measuring")
        )
        seconds = perf_counter() - began
        show_modules([outcome.value for outcome in outcomes if outcome.ok], library)
        print(f"\n{len(files) / seconds:,.0f} files/s: {len(files)} in {seconds:.2f} s, ", end="")
        print(f"{workers} workers")
        show_failures(outcomes)
        report = Path(gettempdir()) / "processpool-demo.html"
        pool.report(report, noun="file")
        show_speed_up(pool, sample_of(files))
    print(f"\nHow it ran, as a page: {report}")


def modules_of(library: Path) -> list[str]:
    """The .py files below a folder, without what was installed into it."""
    found = (path for path in library.rglob("*.py") if path.is_file())
    return sorted(str(path) for path in found if not OTHERS & set(path.parts))


def show_modules(measured: list[dict[str, Any]], library: Path) -> None:
    """Print the table of the ten most complex modules."""
    parsed = [module for module in measured if "error" not in module]
    parsed.sort(key=lambda module: (-module["complexity"], module["path"]))
    print(f"\nThe ten most complex of {len(parsed)} modules:\n")
    print(ROW.format("complexity", "lines", "functions", "module", "most complex function"))
    for module in parsed[:10]:
        name = Path(module["path"]).relative_to(library)
        worst = f"{module['max_complexity_function']} ({module['max_complexity']})"
        figures = module["complexity"], module["lines"], module["functions"]
        print(ROW.format(*figures, str(name), worst))


def show_failures(outcomes: list[Outcome]) -> None:
    """Say how many files are no Python, and which items of the pool failed."""
    refused = sum("error" in outcome.value for outcome in outcomes if outcome.ok)
    print(f"{refused} files do not parse; among the library's tests some are not meant to")
    failed = [outcome for outcome in outcomes if not outcome.ok]
    print(f"{len(failed)} items failed")
    for outcome in failed[:10]:
        print(f"  item {outcome.index}: {outcome.error}")


def sample_of(files: list[str]) -> list[str]:
    """Some of the files, the same ones on every run."""
    return random.Random(1).sample(files, min(SAMPLE, len(files)))


def show_speed_up(pool: ProcessPool, sample: list[str]) -> None:
    """Measure the same files with the open pool and with one process a file; print the ratios."""
    workers = pool.config.size.max
    pooled = seconds_of(pool.map, sample)
    one_by_one = seconds_of(one_process_each, sample)
    side_by_side = seconds_of(lambda paths: in_threads(paths, workers), sample)
    print(f"\nThe same {len(sample)} files, drawn at random, measured in three ways:")
    print(f"  {pooled:6.2f} s  in the open pool, with {workers} workers")
    for seconds, label in (
        (one_by_one, "with one subprocess.run a file"),
        (side_by_side, f"the same, {workers} at a time"),
    ):
        print(f"  {seconds:6.2f} s  {label}: the pool is {seconds / pooled:.1f} times as fast")


def one_process_each(paths: Sequence[str]) -> None:
    """What people do without a pool: start the worker program anew for each file."""
    for path in paths:
        subprocess.run([sys.executable, WORKER, path], check=True, capture_output=True)


def in_threads(paths: Sequence[str], workers: int) -> None:
    """The same with as many processes at a time as the pool has workers."""
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(lambda path: one_process_each([path]), paths))


def seconds_of(work: Callable[[list[str]], Any], paths: list[str]) -> float:
    """How long `work(paths)` takes."""
    began = perf_counter()
    work(paths)
    return perf_counter() - began


if __name__ == "__main__":
    main()
