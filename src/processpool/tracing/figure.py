"""A figure of a recording: an SVG with a lane for each worker, its items and its failures.

A new worker takes the lane of one that has ended. Spans that are too narrow to tell apart are drawn
as one, so that the SVG stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from processpool.tracing.recorder import Born, Mark, Span

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from processpool.core.run_record import RunRecord
    from processpool.tracing.recorder import Died

WIDTH = 900
"""The width of the figure, in pixels."""
LEFT, RIGHT, TOP, BOTTOM = 60, 16, 24, 30
"""The margins around the lanes, in pixels."""
MAX_HEIGHT = 600
"""The greatest height of all lanes together, in pixels."""
COLOURS = {"item": "#2f81d6", "start": "#d4a72c", "bad": "#cf222e", "note": "#8250df"}
"""The colours of kinds of marks and spans."""
TEXT = 'font-family="sans-serif" font-size="11" fill="#6e7781"'
"""The attributes of all text."""
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Figure:
    """An SVG image, which notebooks display."""

    svg: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the SVG to a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.svg)

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Figure, {len(self.svg):,} bytes of SVG>"


def draw(
    name: str, spans: Sequence[Span], marks: Sequence[Mark], lives: Sequence[Born | Died]
) -> Figure:
    """Return the figure of a recording of the pool `name`."""
    return _drawn(name, spans, marks, assign_lanes(lives, spans))


def draw_records(name: str, records: Sequence[RunRecord], most: int) -> Figure:
    """Return the figure of the last maps of the pool `name`, of at most so many stretches.

    The lanes are the pool's slots.
    """
    found = [(record.number, one) for record in records for one in record.stretches()][-most:]
    spans = [
        Span(one.worker_id, one.since, one.until, "item", one.first, one.items, number)
        for number, one in found
    ]
    failed = [
        Mark(one.worker_id, one.until, f"{one.failed} of {one.items} items failed", "bad")
        for _, one in found
        if one.failed
    ]
    return _drawn(name, spans, failed, {one.worker_id: one.slot for _, one in found})


def _drawn(
    name: str, spans: Sequence[Span], marks: Sequence[Mark], lane_of: dict[int, int]
) -> Figure:
    times = [time for span in spans for time in (span.begin, span.end)] + [m.at for m in marks]
    first, last = min(times, default=0.0), max(times, default=1.0)
    page = _Page(first, max(last, first + 1e-3), 1 + max(lane_of.values(), default=0))
    parts = [*page.axis(), *page.labels()]
    for span in merged(spans, lane_of, page.second_per_pixel):
        parts.append(page.bar(span, lane_of[span.worker]))
    parts += [page.flag(mark, lane_of.get(mark.worker or 0)) for mark in marks]
    return Figure(page.wrap(parts, name))


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
        together = before.worker == span.worker and before.kind == span.kind
        if together and narrow and span.begin - last.end < gap:
            out[-1] = Span(
                last.worker, last.begin, max(span.end, last.end), last.kind, last.index,
                last.count + span.count, last.job,
            )  # fmt: skip
        else:
            out.append(span)
    return out


class _Page:
    """The layout of a figure: positions of times and lanes, and the SVG elements."""

    def __init__(self, first: float, last: float, lanes: int) -> None:
        self._first, self._last, self._lanes = first, last, lanes
        self._lane = max(min(18.0, MAX_HEIGHT / lanes), 1.0)
        self._height = TOP + self._lane * lanes + BOTTOM

    @property
    def second_per_pixel(self) -> float:
        """The seconds that one pixel stands for."""
        return (self._last - self._first) / (WIDTH - LEFT - RIGHT)

    def x(self, at: float) -> float:
        """Return the position of a time, in pixels from the left."""
        return LEFT + (at - self._first) / self.second_per_pixel

    def bar(self, span: Span, lane: int) -> str:
        """Return the bar of a span."""
        left = self.x(span.begin)
        width = max(self.x(span.end) - left - 0.5, 0.5)
        gap = 2 if self._lane >= 8 else 0
        title = f"worker {span.worker}, {span.name}: {span.end - span.begin:.3f} s"
        return (
            f'<rect x="{left:.1f}" y="{TOP + lane * self._lane:.1f}" width="{width:.1f}" '
            f'height="{self._lane - gap:.1f}" fill="{COLOURS[span.kind]}">'
            f"<title>{escape(title)}</title></rect>"
        )

    def flag(self, mark: Mark, lane: int | None) -> str:
        """Return the cross of a mark in its worker's lane, or a line across all lanes."""
        x, colour = self.x(mark.at), COLOURS[mark.kind]
        who = "" if mark.worker is None else f"worker {mark.worker} "
        title = f"<title>{escape(f'{who}{mark.name} {mark.details}'.strip())}</title>"
        if lane is None:
            top, bottom = TOP - 8, self._height - BOTTOM
            dash = 'stroke-dasharray="3 3"'
            line = f'x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom:.1f}"'
            return f'<line {line} stroke="{colour}" {dash}>{title}</line>'
        y = TOP + (lane + 0.5) * self._lane - 1
        size = max(min(self._lane / 2 - 1, 5), 2)
        points = f"M{x - size:.1f} {y - size:.1f}l{2 * size:.1f} {2 * size:.1f}m0 {-2 * size:.1f}"
        path = f"{points}l{-2 * size:.1f} {2 * size:.1f}"
        return f'<path d="{path}" stroke="{colour}" stroke-width="2">{title}</path>'

    def axis(self) -> Iterable[str]:
        """Yield the time axis."""
        bottom = self._height - BOTTOM
        for second in ticks(self._last - self._first):
            x = self.x(self._first + second)
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom:.1f}" stroke="#8884"/>'
            yield _text(x, bottom + 14, "middle", f"{second:g} s")

    def labels(self) -> Iterable[str]:
        """Yield the lanes' labels, if there is room for them."""
        if self._lane >= 10:
            for lane in range(self._lanes):
                y = TOP + (lane + 0.5) * self._lane + 3
                yield _text(LEFT - 8, y, "end", f"lane {lane + 1}")

    def wrap(self, parts: Iterable[str], name: str) -> str:
        """Return the complete SVG."""
        title = escape(f"pool {name}: {self._last - self._first:.1f} s, {self._lanes} lanes")
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self._height:.0f}" '
                f'width="{WIDTH}" height="{self._height:.0f}" role="img" aria-label="{title}">',
                _text(LEFT, 14, "start", title),
                *parts,
                "</svg>",
            ]
        )


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {TEXT}>{text}</text>'


def ticks(seconds: float) -> list[float]:
    """Return the ticks of the time axis: multiples of a round step, from 0 to `seconds`."""
    power = 1e-4
    while True:
        for step in _STEPS:
            if seconds / (step * power) <= 10:
                width = step * power
                return [round(number * width, 6) for number in range(int(seconds / width) + 1)]
        power *= 10
