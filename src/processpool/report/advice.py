"""One line of advice on a map, if there is something that its user could do about it.

It is the verdict of the report, said while the map still runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from processpool.report.verdict import SHORT, Shares, judge
from processpool.report.words import percent
from processpool.system.cpus import usable_cpus

if TYPE_CHECKING:
    from processpool.core.run_record import RunRecord
    from processpool.core.run_totals import RunTotals
    from processpool.report.verdict import Kind

FEWEST = 10
"""Items, below which nothing can be concluded."""
BUSY = 0.75
"""How busy the workers must be to say that more of them would help."""
BOTTLENECKS: dict[Kind, str] = {
    "input": "reading the input is the bottleneck",
    "pickling": "pickling is the bottleneck",
    "consumer": "the loop that takes the answers is the bottleneck",
    "tail": "they waited for the last items",
}
"""What held the workers up, by the kind of verdict."""


class Advice(NamedTuple):
    """What could be done about a map."""

    line: str
    """It, in one line."""
    why: str
    """The figures that it rests on."""


def advise(record: RunRecord, totals: RunTotals | None = None) -> Advice | None:
    """Return the advice on a map that runs or has ended; None if there is none.

    Args:
        record: how the map has run.
        totals: its `totals()`, if they are known already; they take long of a long map.
    """
    totals = record.totals() if totals is None else totals
    if totals.items < FEWEST:
        return None
    verdict, shares = judge(record, totals), Shares(record, totals)
    if verdict.kind == "nothing" or (verdict.kind == "tail" and record.ended is None):
        return None  # nobody knows whether the items that run are the last
    if verdict.kind != "worker":
        line = f"workers idle {percent(1 - shares.busy)}: {BOTTLENECKS[verdict.kind]}"
    elif totals.runs.percentile(50) < SHORT:
        line = "very short items: their way to the workers and back is the bottleneck"
    elif shares.busy >= BUSY and record.slots < usable_cpus():
        line = f"workers busy {percent(shares.busy)}: there are {usable_cpus()} CPUs for them"
    else:
        return None
    return Advice(f"{line}. {verdict.advice}", verdict.why)
