"""Drawings of a report: SVG without script, coloured by the classes of `style.py`.

All have the same width, in units that the browser scales; the times of all of them begin and end at
the same place.
"""

from __future__ import annotations

from html import escape
from math import floor, log10
from typing import TYPE_CHECKING

from processpool.core.log_bins import PER_DECADE
from processpool.report.words import count, percent, rate, seconds, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from processpool.core.log_bins import LogBins

WIDTH = 900
LEFT = 64
"""The room for labels beside an axis of time."""
HALF = 430
"""The width of a histogram: two are beside each other."""
LANE, LANES = 14, 32
"""The height of a slot's lane, and the most lanes."""
LEVELS = 8
"""How many shades of a busy slot there are."""
_LONG_STEPS = (60.0, 300.0, 600.0, 1800.0, 3600.0, 10800.0, 86400.0, 864000.0)
BARS = 36
"""The most bars of a histogram."""


def shares(parts: Sequence[tuple[str, str, float]], label: str, height: int = 22) -> str:
    """Return a bar of parts, each with its class, its words, and its size."""
    total = sum(amount for _, _, amount in parts) or 1.0
    drawn, x = [], 0.0
    for kind, words, amount in parts:
        width = amount / total * WIDTH
        if amount:
            drawn.append(
                f'<rect class="{kind}" x="{x:.1f}" width="{max(width, 1):.1f}" height="{height}">'
                f"<title>{escape(words)}</title></rect>"
            )
        x += width
    return _svg(WIDTH, height, label, drawn)


def histogram(bins: LogBins, label: str) -> str:
    """Return how often items took how long, with percentiles marked, on a logarithmic axis."""
    if not bins.count:
        return ""
    marks = [(bins.percentile(at), f"p{at}") for at in (50, 90, 99)]
    low, high = min(bins.bins), max(bins.bins) + 1
    while high - low < 12:
        low, high = low - 1, high + 1
    step = -(-(high - low) // BARS)
    counts: dict[int, int] = {}
    for place, times in bins.bins.items():
        counts[(place - low) // step] = counts.get((place - low) // step, 0) + times
    number, most = -(-(high - low) // step), max(counts.values())
    bar, floor_at, top = (HALF - 20) / number, 124, 42
    drawn = []
    for at, times in sorted(counts.items()):
        height = max(times / most * (floor_at - top), 1.5)
        begin, end = (10 ** ((low + step * (at + more)) / PER_DECADE) for more in (0, 1))
        title = f"{count(times, 'item')}: {seconds(begin)} to {seconds(end)}"
        drawn.append(
            f'<rect class="bar" x="{10 + at * bar:.1f}" y="{floor_at - height:.1f}" '
            f'width="{max(bar - 1, 1):.1f}" height="{height:.1f}"><title>{title}</title></rect>'
        )

    def x(value: float) -> float:
        place = log10(max(value, 1e-7)) * PER_DECADE
        return 10 + min(max((place - low) / (number * step), 0), 1) * (HALF - 20)

    drawn.append(f'<path class="axis" d="M10 {floor_at}H{HALF - 10}"/>')
    drawn += _marks(marks, x, floor_at)
    powers = range(floor(low / PER_DECADE) - 1, floor(high / PER_DECADE) + 1)
    steps = (1, 2, 5) if high - low < 2 * PER_DECADE else (1,)
    for value in [part * 10.0**power for power in powers for part in steps]:
        if 16 < (tick := x(value)) < HALF - 24:
            drawn.append(f'<path class="axis" d="M{tick:.1f} {floor_at}v4"/>')
            drawn.append(_text(tick, floor_at + 16, seconds(value)))
    return _svg(HALF, 144, label, drawn)


def _marks(
    marks: list[tuple[float, str]], x: Callable[[float], float], bottom: int
) -> Iterable[str]:
    """The percentiles, with their words one above the other."""
    for row, (value, name) in enumerate(marks):
        at, y = x(value), 10 + 12 * row
        anchor, shift = ("start", 3) if at < HALF - 80 else ("end", -3)
        yield f'<path class="mark" d="M{at:.1f} {y - 8}V{bottom}"/>'
        yield _text(at + shift, y, f"{name} {seconds(value)}", anchor)


class Time:
    """An axis of time: where on the drawings a moment is."""

    def __init__(self, length: float) -> None:
        """Of so many seconds."""
        self.length = max(length, 1e-6)
        self.scale = (WIDTH - LEFT) / self.length

    def x(self, at: float) -> float:
        """Return the place of a moment, in seconds since the beginning."""
        return LEFT + min(max(at, 0.0), self.length) * self.scale

    def axis(self, top: float, bottom: float) -> list[str]:
        """Return its ticks."""
        drawn = []
        for at in _ticks(self.length):
            x = self.x(at)
            drawn.append(f'<path class="grid" d="M{x:.1f} {top}V{bottom + 3}"/>')
            anchor = "start" if x - LEFT < 10 else "end" if WIDTH - x < 24 else "middle"
            drawn.append(_text(x, bottom + 15, _tick(at, self.length), anchor))
        return drawn


def lanes(rows: Sequence[tuple[str, Sequence[float]]], width: float, time: Time) -> str:
    """Return how busy each slot was: rows of a name and parts of 1, each for `width` seconds."""
    paths: list[list[str]] = [[] for _ in range(LEVELS + 1)]
    names = []
    for number, (name, parts) in enumerate(rows):
        top = number * LANE
        names.append(_text(LEFT - 8, top + LANE - 4, name, "end"))
        begin = 0
        levels = [min(round(part * LEVELS + 0.3 * bool(part)), LEVELS) for part in parts]
        for at, level in enumerate(levels):
            if at + 1 < len(levels) and levels[at + 1] == level:
                continue
            if level:
                left, right = time.x(begin * width), time.x((at + 1) * width)
                box = f"M{left:.1f} {top + 1}H{right:.1f}v{LANE - 2}H{left:.1f}z"
                paths[level].append(box)
            begin = at + 1
    bottom = len(rows) * LANE
    ground = f'<rect class="ground" x="{LEFT}" width="{WIDTH - LEFT}" height="{bottom}"/>'
    drawn = [
        f'<path class="busy" opacity="{0.25 + 0.75 * level / LEVELS:.2f}" d="{"".join(path)}"/>'
        for level, path in enumerate(paths)
        if path
    ]
    label = "how busy each slot was, over time"
    return _svg(WIDTH, bottom + 20, label, [ground, *time.axis(0, bottom), *drawn, *names])


def area(
    values: Sequence[float], width: float, time: Time, label: str, unit: str, *, kind: str = "area"
) -> str:
    """Return amounts over time, each for `width` seconds: `unit` is `bytes`, or what is counted."""
    most = max(values, default=0.0)
    if not most:
        return ""
    height, top = 70, 14
    said = size(most) if unit == "bytes" else f"{rate(most)} {unit}"
    points = [f"M{time.x(0):.1f} {top + height}"]
    for at, value in enumerate(values):
        y = top + height * (1 - value / most)
        points.append(f"V{y:.1f}H{time.x((at + 1) * width):.1f}")
    points.append(f"V{top + height}z")
    drawn = [
        *time.axis(top, top + height),
        f'<path class="{kind}" d="{"".join(points)}"/>',
        _text(LEFT - 8, top + 8, said.split(" ")[0], "end"),
        _text(LEFT - 8, top + 20, said.partition(" ")[2], "end"),
        _text(LEFT - 8, top + height, "0", "end"),
    ]
    return _svg(WIDTH, top + height + 20, f"{label}: at most {said}", drawn)


def legend(parts: Sequence[tuple[str, str, float]]) -> str:
    """Return what the parts of a bar are, in words."""
    total = sum(amount for _, _, amount in parts) or 1.0
    return "".join(
        f'<span class="key"><i class="{kind}"></i>{escape(words)} '
        f"<b>{percent(amount / total)}</b></span>"
        for kind, words, amount in parts
        if amount
    )


def _ticks(length: float) -> list[float]:
    power = 10.0 ** floor(log10(length))
    steps = _LONG_STEPS if length >= 120 else tuple(power * part for part in (0.1, 0.2, 0.5, 1))
    step = next((step for step in steps if length / step <= 10), steps[-1])
    return [number * step for number in range(int(length / step) + 1)]


def _tick(at: float, length: float) -> str:
    if length < 120:
        return f"{at:g} s" if length >= 1 else f"{at * 1000:g} ms"
    hours, minutes = divmod(round(at / 60), 60)
    return f"{hours}:{minutes:02d} h" if length >= 7200 else f"{round(at / 60)} min"


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(width: int, height: float, label: str, drawn: Iterable[str]) -> str:
    said = escape(label, quote=True)
    return (
        f'<svg viewBox="0 0 {width} {height:g}" role="img" aria-label="{said}">'
        f"{''.join(drawn)}</svg>"
    )
