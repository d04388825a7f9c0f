"""A figure of a recording: an SVG with a lane for each worker, its items and its failures.

A new worker takes the lane of one that has ended. Spans that are too narrow to tell apart are drawn
as one, so that the SVG stays small.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

from processpool.tracing.drawing import COLOURS, Drawing, Known, assign_lanes, known_of, merged
from processpool.tracing.live import to_html
from processpool.tracing.recorder import Mark, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from processpool.core.run_record import RunRecord
    from processpool.tracing.recorder import Born, Died

WIDTH = 900
"""The width of the figure, in pixels."""
LEFT, RIGHT, TOP, BOTTOM = 60, 16, 24, 30
"""The margins around the lanes, in pixels."""
MAX_HEIGHT = 600
"""The greatest height of all lanes together, in pixels."""
TEXT = 'font-family="sans-serif" font-size="11" fill="#6e7781"'
"""The attributes of all text."""
_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Figure:
    """A picture of a recording, which notebooks display: one can look closer, and point at items.

    Where scripts do not run, it is an SVG image.
    """

    drawing: Drawing

    @cached_property
    def svg(self) -> str:
        """The whole as an SVG image."""
        return _drawn(self.drawing)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the figure to a file: as a page if its name ends with `.html`, else as an SVG."""
        text = self.svg
        if os.fspath(path).endswith((".html", ".htm")):
            text = f'<!doctype html>\n<meta charset="utf-8">\n{self._repr_html_()}\n'
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def _repr_html_(self) -> str:
        return to_html(self.drawing, _drawn(self.drawing, titles=False))

    def __repr__(self) -> str:
        spans = self.drawing.spans
        seconds = self.drawing.last - self.drawing.first
        return f"<Figure: {sum(span.count for span in spans):,} items, {seconds:.1f} s>"


def draw(
    name: str,
    spans: Sequence[Span],
    marks: Sequence[Mark],
    lives: Sequence[Born | Died],
    known: Known | None = None,
) -> Figure:
    """Return the figure of a recording of the pool `name`."""
    return Figure(Drawing(name, spans, marks, assign_lanes(lives, spans), known or Known()))


def draw_records(
    name: str, records: Sequence[RunRecord], most: int, secrets: Sequence[str] = ()
) -> Figure:
    """Return the figure of the last maps of the pool `name`, of at most so many stretches.

    The lanes are the pool's slots. `secrets` are texts that must not show.
    """
    found = [(record.number, one) for record in records for one in record.stretches()][-most:]
    spans = [
        Span(one.worker_id, one.since, one.until, "item", one.first, one.items, number, one.failed)
        for number, one in found
    ]
    lane_of = {one.worker_id: one.slot for _, one in found}
    return Figure(Drawing(name, spans, (), lane_of, known_of(records, secrets)))


def _drawn(drawing: Drawing, *, titles: bool = True) -> str:
    """Return the SVG of a drawing; without `titles`, nobody can point at anything in it."""
    page = _Page(drawing.first, drawing.last, drawing.lanes)
    lane_of = drawing.lane_of
    parts = [*page.axis(), *page.labels()]
    for span in merged(drawing.spans, lane_of, page.second_per_pixel):
        name = drawing.known.maps.get(span.job, "")
        what = drawing.known.items.get((span.job, span.index), "")
        parts.append(page.bar(span, lane_of[span.worker], name, what))
    parts += [page.flag(mark, lane_of.get(mark.worker or 0)) for mark in drawing.marks]
    if not titles:
        parts = [re.sub("(?s)<title>.*?</title>", "", part) for part in parts]
    return page.wrap(parts, drawing.name)


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

    def bar(self, span: Span, lane: int, name: str, known: str = "") -> str:
        """Return the bar of a span; `name` is that of its map, `known` is of its first item."""
        left = self.x(span.begin)
        width = max(self.x(span.end) - left - 0.5, 0.5)
        gap = 2 if self._lane >= 8 else 0
        what = f"{name}, {span.name}" if name else span.name
        title = f"worker {span.worker}, {what}: {span.end - span.begin:.3f} s"
        title += f", {span.failed} failed" if span.failed else ""
        title += f"\n{known}" if known else ""
        colour = COLOURS["bad" if span.failed else span.kind]
        return (
            f'<rect x="{left:.1f}" y="{TOP + lane * self._lane:.1f}" width="{width:.1f}" '
            f'height="{self._lane - gap:.1f}" fill="{colour}">'
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
