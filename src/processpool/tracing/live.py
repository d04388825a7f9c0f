"""A figure as HTML: an image, which a script replaces by one that can be looked at closely.

The script has all it needs in the page. Where none runs, the image stays.
"""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache
from html import escape
from importlib.resources import files
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from processpool.tracing.drawing import COLOURS, merged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from processpool.tracing.drawing import Drawing
    from processpool.tracing.recorder import Mark, Span

MAX_SPANS = 4000
"""The most spans that the script gets: of more, those that are close together are joined."""
MAX_MARKS = 2000
"""The most marks that it gets, the latest ones."""
MAX_TEXT = 200_000
"""The most characters of what items were, all together: of many, each gets fewer."""
FINEST = 1 / 50_000
"""The part of the time that is worth a span of its own."""


def to_html(drawing: Drawing, svg: str) -> str:
    """Return a figure as HTML; `svg` is its image."""
    key = f"processpool-{token_hex(6)}"
    image = b64encode(svg.encode()).decode()
    data = json.dumps(_data(drawing), separators=(",", ":"), ensure_ascii=False)
    script = (
        _script().replace('"KEY"', json.dumps(key)).replace('"DATA"', data.replace("<", "\\u003c"))
    )
    title = escape(f"timeline of pool {drawing.name}")
    return (
        f'<div id="{key}"><img alt="{title}" src="data:image/svg+xml;base64,{image}"></div>\n'
        f"<script>{script}</script>"
    )


@cache
def _script() -> str:
    return (files("processpool.tracing") / "timeline.js").read_text("utf-8")


def _data(drawing: Drawing) -> dict[str, Any]:
    """Return what the script draws; times are seconds from the beginning."""
    first, known = drawing.first, drawing.known
    spans = _fewer(drawing)
    return {
        "name": drawing.name,
        "seconds": round(drawing.last - first, 6),
        "lanes": drawing.lanes,
        "colours": COLOURS,
        "maps": {str(number): name for number, name in known.maps.items()},
        "items": _texts(spans, known.items),
        "spans": [_span(span, drawing.lane_of[span.worker], first) for span in spans],
        "marks": [_mark(mark, drawing, first) for mark in drawing.marks[-MAX_MARKS:]],
    }


def _texts(spans: Sequence[Span], known: Mapping[tuple[int, int], str]) -> dict[str, str]:
    """Return what is known of the items that are drawn, or are the first of those that are."""
    drawn = [(span.job, span.index) for span in spans if known.get((span.job, span.index))]
    most = MAX_TEXT // max(len(drawn), 1)
    return {f"{job}:{index}": _cut(known[job, index], most) for job, index in drawn}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _fewer(drawing: Drawing) -> Sequence[Span]:
    """Return the spans, joined until there are few enough."""
    gap = (drawing.last - drawing.first) * FINEST
    spans: Sequence[Span] = merged(drawing.spans, drawing.lane_of, gap)
    while len(spans) > MAX_SPANS and gap < drawing.last - drawing.first:
        gap *= 2
        spans = merged(spans, drawing.lane_of, gap)
    return spans[-MAX_SPANS * 10 :]


def _span(span: Span, lane: int, first: float) -> list[Any]:
    """Return lane, worker, begin, duration, whether it is a start, map, index, count, failed."""
    begin, seconds = round(span.begin - first, 6), round(span.end - span.begin, 6)
    start = int(span.kind == "start")
    return [lane, span.worker, begin, seconds, start, span.job, span.index, span.count, span.failed]


def _mark(mark: Mark, drawing: Drawing, first: float) -> list[Any]:
    """Return lane (null for the pool), worker, time, kind, text."""
    lane = drawing.lane_of.get(mark.worker or 0)
    text = f"{mark.name} {mark.details}".strip()[:300]
    return [lane, mark.worker, round(mark.at - first, 6), mark.kind, text]
