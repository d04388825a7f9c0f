"""The command line that every benchmark program shares."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import measure
from benchmarks.report import Line, print_case, print_header, print_verdicts, summarize, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.harness import Case

    Cases = Callable[[float], Sequence[Case]]
    """Makes a program's cases; the argument scales their number of items (1 is the full size)."""

ROUNDS = 5
QUICK_ROUNDS = 3
QUICK_SCALE = 0.1


def run(description: str, *programs: Cases) -> None:
    """Parse the command line, run the chosen cases, print their tables and the verdicts."""
    arguments = _parse(description)
    scale = QUICK_SCALE if arguments.quick else 1.0
    cases = [case for program in programs for case in program(scale)]
    chosen = _choose(cases, arguments.only)
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    print_header(rounds)
    lines: list[Line] = []
    for case in chosen:
        measured = measure(case, rounds)
        lines += (compared := summarize(case, measured))
        print_case(case, compared, measured)
    print_verdicts(lines)
    if arguments.json:
        write_json(arguments.json, rounds, lines)


def _parse(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a tenth of the items, 3 rounds")
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help="rounds per case")
    parser.add_argument("--only", action="append", metavar="NAME", help="a case's name; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    return parser.parse_args()


def _choose(cases: Sequence[Case], only: Sequence[str] | None) -> list[Case]:
    """The cases whose names start with one of `only`; all of them without it."""
    if not only:
        return list(cases)
    chosen = [case for case in cases if case.name.startswith(tuple(only))]
    if not chosen:
        known = ", ".join(case.name for case in cases)
        raise SystemExit(f"no case is called {', '.join(only)}; there are: {known}")
    return chosen
