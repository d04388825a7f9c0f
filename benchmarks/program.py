"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.checkouts import ROOT, compiled
from benchmarks.compare import compare
from benchmarks.harness import measure
from benchmarks.report import Line, Report, print_header, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.harness import Case

    Cases = Callable[[float], Sequence[Case]]
    """Makes a group's cases; the argument scales them (1 is the full size)."""

ROUNDS = 5
QUICK_ROUNDS = 3
QUICK_SCALE = 0.1


def run(groups: Mapping[str, Cases]) -> None:
    """Parse the command line, measure the chosen cases, print a row for each of their figures."""
    arguments = _parse(tuple(groups))
    scale = QUICK_SCALE if arguments.quick else 1.0
    wanted = [name for name in groups if name in arguments.groups] or list(groups)
    cases = _choose([case for name in wanted for case in groups[name](scale)], arguments.only)
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    if arguments.list:
        for case in cases:
            print(f"{case.name:24} {case.title}")
        return
    compiled(ROOT / "src")
    compiled(ROOT / "benchmarks")
    print_header(rounds)
    if "compare" in arguments.groups:
        compare(cases, arguments.other, rounds)
        return
    lines = _measure(cases, rounds)
    if arguments.json:
        write_json(arguments.json, rounds, lines)


def _measure(cases: Sequence[Case], rounds: int) -> list[Line]:
    report = Report()
    for case in cases:
        report.add(case, measure(case, rounds))
    report.print_verdicts()
    return report.lines


def _parse(groups: tuple[str, ...]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure processpool, as ratios to what is measured beside it.",
    )
    parser.add_argument(
        "groups",
        nargs="*",
        metavar="GROUP",
        help=f"{', '.join(groups)} (default: all); or `compare`, with or without groups",
    )
    parser.add_argument(
        "--only", default="", metavar="NAME,NAME", help="cases, or how their names begin"
    )
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help="rounds per case")
    parser.add_argument("--quick", action="store_true", help="a tenth of the items, 3 rounds")
    parser.add_argument("--list", action="store_true", help="say which cases there are, and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    parser.add_argument(
        "--with",
        dest="other",
        metavar="WHERE",
        help="for compare: another checkout, its src folder, or a commit",
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.groups) - {*groups, "compare"}:
        parser.error(f"no group is called {', '.join(unknown)}; there are: {', '.join(groups)}")
    if ("compare" in arguments.groups) != (arguments.other is not None):
        parser.error("`compare` and --with go together")
    return arguments


def _choose(cases: Sequence[Case], only: str) -> list[Case]:
    """The cases that are meant by one of the names in `only`; all of them without any.

    A name is that of a case, or else how names of cases begin, or else how titles of rows do.
    """
    known = {case.name: case for case in cases}
    chosen = set() if only else set(known)
    for name in filter(None, only.split(",")):
        found = (
            {name} & set(known)
            or {each for each in known if each.startswith(name)}
            or {each for each, case in known.items() if case.has_row(name)}
        )
        if not found:
            raise SystemExit(f"no case is called {name}; there are: {', '.join(known)}")
        chosen |= found
    return [case for case in cases if case.name in chosen]
