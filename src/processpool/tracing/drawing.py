"""What a figure shows: spans and marks in lanes, and what is known of the items.

A new worker takes the lane of one that has ended. Spans that are too narrow to tell apart are
joined.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from processpool.api.item_notes import Naming
from processpool.core.glimpses import LINE
from processpool.system.text import escape_control
from processpool.tracing.recorder import Born, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from processpool.core.run_record import RunRecord
    from processpool.tracing.recorder import Died, Mark

COLOURS = {"item": "#2f81d6", "start": "#d4a72c", "bad": "#cf222e", "note": "#8250df"}
"""The colours of kinds of marks and spans."""


@dataclass(frozen=True)
class Drawing:
    """What a figure shows."""

    name: str
    """The pool's."""
    spans: Sequence[Span]
    marks: Sequence[Mark]
    lane_of: dict[int, int]
    """The lane of each worker."""
    known: Known

    @cached_property
    def times(self) -> tuple[float, float]:
        """The first and the last time."""
        times = [time for span in self.spans for time in (span.begin, span.end)]
        times += [mark.at for mark in self.marks]
        first, last = min(times, default=0.0), max(times, default=1.0)
        return first, max(last, first + 1e-3)

    @property
    def first(self) -> float:
        """When it begins."""
        return self.times[0]

    @property
    def last(self) -> float:
        """When it ends."""
        return self.times[1]

    @property
    def lanes(self) -> int:
        """How many lanes it has."""
        return 1 + max(self.lane_of.values(), default=0)


@dataclass(frozen=True)
class Known:
    """What is known of maps and items besides when they ran."""

    maps: Mapping[int, str] = field(default_factory=dict)
    """The names of maps, by number."""
    items: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """A text for some items, by map and index: what they are, and what went wrong."""


def known_of(records: Sequence[RunRecord], secrets: Sequence[str] = ()) -> Known:
    """Return what is known of maps and their items: what these were, and their errors."""
    items: dict[tuple[int, int], str] = {}
    for record in records:
        naming = Naming(record.name, is_map=True, secrets=tuple(secrets))
        for index, item in record.named().items():
            args = item if type(item) is tuple else (item,)
            items[record.number, index] = naming.arguments(args)
        for group in record.errors.largest_first():
            args = getattr(getattr(group.example, "record", group.example), "args", ())
            items.setdefault((record.number, group.index), naming.arguments(args))
        for index, text in record.failures().items():
            what = items.get((record.number, index), "")
            error = naming.masked(escape_control(text))[:LINE]
            items[record.number, index] = f"{what} ✖ {error}".strip()
    return Known({record.number: escape_control(record.name) for record in records}, items)


def assign_lanes(lives: Sequence[Born | Died], spans: Iterable[Span]) -> dict[int, int]:
    """Return the lane of each worker: a new worker takes the first free lane."""
    lane_of: dict[int, int] = {}
    taken: dict[int, int] = {}
    for life in lives:
        if isinstance(life, Born):
            lane = next(lane for lane in range(len(taken) + 1) if lane not in taken)
            taken[lane] = life.worker
            lane_of[life.worker] = lane
        else:
            taken = {lane: worker for lane, worker in taken.items() if worker != life.worker}
    for span in spans:  # workers whose `Born` is no longer in the recording
        lane_of.setdefault(span.worker, max(lane_of.values(), default=-1) + 1)
    return lane_of


def merged(spans: Iterable[Span], lane_of: dict[int, int], gap: float) -> list[Span]:
    """Return the spans, sorted by lane and time; those within `gap` seconds are joined."""
    ordered = sorted(spans, key=lambda span: (lane_of[span.worker], span.begin))
    out: list[Span] = ordered[:1]
    for before, span in pairwise(ordered):
        last = out[-1]
        narrow = span.end - last.begin < 2 * gap or max(span.end - span.begin, gap) == gap
        together = _looks(before) == _looks(span)
        if together and narrow and span.begin - last.end < gap:
            out[-1] = Span(
                last.worker, last.begin, max(span.end, last.end), last.kind, last.index,
                last.count + span.count, last.job, last.failed + span.failed,
            )  # fmt: skip
        else:
            out.append(span)
    return out


def _looks(span: Span) -> tuple[int, str, int, bool]:
    """Return what spans must have in common to be joined."""
    return span.worker, span.kind, span.job, bool(span.failed)
