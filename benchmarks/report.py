"""Turning measured rounds into rows of ratios, a table, and JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.harness import Case, Measured, Row

HEADINGS = ("", "ours", "yardstick", "its figure", "ratio (min-max)", "target", "")
PEERS = ("numpy", "loky", "pebble", "mpire", "joblib")


@dataclass(frozen=True)
class Line:
    """One row's result: medians over the rounds, the median of the ratios and their spread."""

    case: str
    title: str
    ours: float | None
    yardstick: str
    theirs: float | None
    ratio: float | None
    spread: tuple[float, float] | None
    target: str
    verdict: str
    texts: tuple[str, ...]


def summarize(case: Case, measured: Measured) -> list[Line]:
    """Compare what was measured, row by row."""
    return [_line(case, row, measured) for row in case.rows]


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
    verdict = _verdict(row, ratio if row.against else middle_ours, bool(ours))
    label = _rival_label(row, rival)
    texts = (
        row.title or row.ours,
        row.unit.format(middle_ours) if middle_ours is not None else "n/a",
        label,
        row.unit.format(middle_theirs) if middle_theirs is not None else ("n/a" if label else ""),
        _ratio_text(ratio, spread),
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


def _verdict(row: Row, value: float | None, have_ours: bool) -> str:
    if row.target is None:
        return ""
    if value is None:
        return "n/a" if not have_ours else "no yardstick"
    return "ok" if row.target.met(value) else "MISS"


def _ratio_text(ratio: float | None, spread: tuple[float, float] | None) -> str:
    if ratio is None or spread is None:
        return ""
    return f"{ratio:.3g} ({spread[0]:.3g}-{spread[1]:.3g})"


def print_header(rounds: int) -> None:
    """Say what the figures were taken on: they compare with nothing from another machine."""
    for key, value in environment().items():
        print(f"{key}: {value}")
    print(f"rounds: {rounds}, interleaved; medians, and the spread of the ratios over the rounds")


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


def print_case(case: Case, lines: Sequence[Line], measured: Measured) -> None:
    """Print one case: its title, its table, and who could not take part."""
    print(f"\n{case.name}: {case.title}")
    print_table([HEADINGS, *(line.texts for line in lines)])
    for label, reason in measured.failures.items():
        print(f"  {label}: {reason}")


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of equal length with aligned columns; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip(), flush=True)


def print_verdicts(lines: Sequence[Line]) -> None:
    """Count the targets met, and name the missed ones."""
    judged = [line for line in lines if line.verdict]
    missed = [line for line in judged if line.verdict != "ok"]
    print(f"\n{len(judged) - len(missed)} of {len(judged)} targets met")
    for line in missed:
        versus = f" against {line.yardstick}" if line.yardstick else ""
        print(f"  {line.verdict}: {line.case}: {line.title}{versus} {line.target}")


def write_json(path: Path, rounds: int, lines: Sequence[Line]) -> None:
    """Write every row, and the environment it was measured in."""
    rows = [asdict(line) for line in lines]
    document = {"environment": environment(), "rounds": rounds, "rows": rows}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
