"""Turning measured rounds into one table of ratios, and JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.harness import Case, Measured, Row

COLUMNS = (
    ("", 44),
    ("ours", 15),
    ("against", 32),
    ("its figure", 15),
    ("ratio (min-max)", 23),
    ("target", 9),
    ("", 6),
)
PEERS = ("numpy", "loky", "pebble", "mpire", "joblib", "distributed")
MET, MISSED, NOT_MEASURED = "met", "MISSED", "-"


@dataclass(frozen=True)
class Line:
    """One row's result: medians over the rounds, the median of the ratios and their spread."""

    case: str
    title: str
    ours: float | None
    against: str
    theirs: float | None
    ratio: float | None
    spread: tuple[float, float] | None
    target: str
    verdict: str
    texts: tuple[str, ...]


class Table:
    """Columns of fixed widths, so that each row can be printed as soon as it is known."""

    def __init__(self, columns: Sequence[tuple[str, int]]) -> None:
        self._widths = [width for _, width in columns]
        self.row(*(heading for heading, _ in columns))

    def row(self, *texts: str) -> None:
        """Print one row."""
        cells = (text.ljust(width) for text, width in zip(texts, self._widths, strict=True))
        print("  ".join(cells).rstrip(), flush=True)

    def note(self, text: str) -> None:
        """Print a line between the rows."""
        print(f"  ({text})", flush=True)


@dataclass
class Report:
    """The rows so far, printed as they are added."""

    lines: list[Line] = field(default_factory=list)
    _table: Table = field(default_factory=lambda: Table(COLUMNS))

    def add(self, case: Case, measured: Measured) -> None:
        """Compare what was measured in a case, row by row; say who could not take part, and why."""
        for row in case.rows:
            line = _line(case, row, measured)
            self.lines.append(line)
            self._table.row(*line.texts)
        for label, reason in measured.failures.items():
            self._table.note(f"{label}: {reason}")

    def print_verdicts(self) -> None:
        """Count the targets met, and name the others."""
        judged = [line for line in self.lines if line.verdict]
        others = [line for line in judged if line.verdict != MET]
        load = os.getloadavg()[0]
        print(
            f"\n{len(judged) - len(others)} of {len(judged)} targets met; load average {load:.1f}"
        )
        for line in others:
            versus = f" against {line.against}" if line.against else ""
            what = "missed" if line.verdict == MISSED else "not measured"
            print(f"  {what}: {line.case}: {line.title}{versus} {line.target}")


def _line(case: Case, row: Row, measured: Measured) -> Line:
    ours = _figures(measured, row.ours, row.figure)
    rival = _best(row, measured)
    theirs = _figures(measured, rival, row.against_figure or row.figure)
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=False) if other]
    middle_ours = median(ours) if ours else None
    middle_theirs = median(theirs) if theirs else None
    ratio = median(ratios) if ratios else None
    spread = (min(ratios), max(ratios)) if ratios else None
    target = _target_text(row)
    verdict = _verdict(row, ratio if row.against else middle_ours)
    label = _rival_label(row, rival)
    texts = (
        case.label(row),
        row.unit.format(middle_ours) if middle_ours is not None else "n/a",
        label,
        row.unit.format(middle_theirs) if middle_theirs is not None else ("n/a" if label else ""),
        _spread_text(ratio, spread) if row.against else _own_spread(row, ours),
        target,
        verdict,
    )
    title = row.title or row.ours
    return Line(
        case.name, title, middle_ours, label, middle_theirs, ratio, spread, target, verdict, texts
    )


def _figures(measured: Measured, label: str, figure: str) -> list[float]:
    return [figures[figure] for figures in measured.rounds.get(label, []) if figure in figures]


def _best(row: Row, measured: Measured) -> str:
    """The contestant of `against` with the best median; the first, where none has a figure."""
    figure = row.against_figure or row.figure
    medians = {
        label: median(figures)
        for label in row.against
        if (figures := _figures(measured, label, figure))
    }
    if not medians:
        return row.against[0] if row.against else ""
    choose = max if row.unit.more_is_better else min
    return choose(medians, key=lambda label: medians[label])


def _rival_label(row: Row, rival: str) -> str:
    if len(row.against) > 1:
        return f"best of {len(row.against)}: {rival}"
    return row.against_title or rival


def _target_text(row: Row) -> str:
    if row.target is None:
        return ""
    bound = row.target.bound
    if row.against:
        return f"{row.target.sign} {bound:g}"
    return f"{row.target.sign} {row.unit.format(bound)}"


def _verdict(row: Row, value: float | None) -> str:
    if row.target is None:
        return ""
    if value is None:
        return NOT_MEASURED
    return MET if row.target.met(value) else MISSED


def _spread_text(ratio: float | None, spread: tuple[float, float] | None) -> str:
    if ratio is None or spread is None:
        return ""
    if spread[0] == spread[1]:
        return f"{ratio:.3g}"
    return f"{ratio:.3g} ({spread[0]:.3g}-{spread[1]:.3g})"


def _own_spread(row: Row, ours: list[float]) -> str:
    """A row without a yardstick has no ratio: how far its own figure goes."""
    if len(ours) < 2:
        return ""
    return f"({row.unit.format(min(ours))}-{row.unit.format(max(ours))})"


def print_header(rounds: int) -> None:
    """Say what the figures were taken on: they compare with nothing from another machine."""
    for key, value in environment().items():
        print(f"{key}: {value}")
    print(f"rounds: {rounds}, in turns; medians, and the ratios' smallest and largest\n")


def environment() -> dict[str, str]:
    """Versions, and how busy the machine was."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "cpus": f"{len(os.sched_getaffinity(0))}, load average {load}",
        "peers": ", ".join(f"{name} {_version(name)}" for name in PEERS),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def write_json(path: Path, rounds: int, lines: Sequence[Line]) -> None:
    """Write every row, and the environment it was measured in."""
    rows = [asdict(line) for line in lines]
    document = {"environment": environment(), "rounds": rounds, "rows": rows}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
