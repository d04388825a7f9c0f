"""Two states of the package against each other, in turns: `python -m benchmarks compare`.

Both sides are measured by the benchmarks of this checkout, each in processes of its own in which
PYTHONPATH says whose `processpool` is imported, by the workers too.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.checkouts import ROOT, find
from benchmarks.harness import Figures, run_probe
from benchmarks.report import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.harness import Case, Row

COLUMNS = (("", 44), ("here", 16), ("there", 16), ("here ÷ there (min-max)", 24), ("", 8))
TOLERANCE = 0.03
"""A smaller difference is none."""


def compare(cases: Sequence[Case], other: str, rounds: int) -> None:
    """Measure our side of each case here and there, and print the ratios."""
    try:
        sides = (ROOT / "src", find(other))
    except LookupError as error:
        raise SystemExit(str(error)) from None
    for side in sides:
        _check(side)
    table = Table(COLUMNS)
    for case in cases:
        _compare_case(case, sides, rounds, table)


def _check(folder: Path) -> None:
    """Make sure that PYTHONPATH decides which package is imported."""
    code = "import processpool; print(processpool.__file__)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if not result.stdout.startswith(str(folder)):
        reason = (result.stderr.splitlines() or [result.stdout.strip()])[-1]
        raise SystemExit(f"cannot import processpool from {folder}: {reason}")


def _compare_case(case: Case, sides: tuple[Path, Path], rounds: int, table: Table) -> None:
    rows = list({(row.ours, row.figure): row for row in case.rows}.values())
    for label in dict.fromkeys(row.ours for row in rows):
        measured: tuple[list[Figures], list[Figures]] = ([], [])
        for number in range(rounds):
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                answer = run_probe(case.probes[label], sides[side])
                if isinstance(answer, str):
                    table.note(f"{case.name}: {sides[side]}: {answer}")
                    return
                measured[side].append(answer)
        for row in rows:
            if row.ours == label:
                _print_row(case, row, measured, table)


def _print_row(
    case: Case, row: Row, measured: tuple[list[Figures], list[Figures]], table: Table
) -> None:
    here, there = ([figures[row.figure] for figures in side] for side in measured)
    ratios = [mine / other for mine, other in zip(here, there, strict=True) if other]
    if not ratios:
        table.row(case.label(row), row.unit.format(median(here)), row.unit.format(0.0), "", "")
        return
    table.row(
        case.label(row),
        row.unit.format(median(here)),
        row.unit.format(median(there)),
        f"{median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})",
        _verdict(ratios, row.unit.more_is_better),
    )


def _verdict(ratios: list[float], more_is_better: bool) -> str:
    """Better or worse only where it is by more than noise, and every round says so."""
    low, high = min(ratios), max(ratios)
    if low <= 1 <= high or abs(median(ratios) - 1) < TOLERANCE:
        return "-"
    return "better" if (low > 1) == more_is_better else "worse"
