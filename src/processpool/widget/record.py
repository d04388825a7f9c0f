"""The record that a map leaves in its cell: plain HTML with inline SVG, without a script.

It says the same in every viewer: whatever the picture shows stands in the text, too, for viewers
that drop pictures. All text of workers is escaped.
"""

from __future__ import annotations

from html import escape
from time import localtime, strftime
from typing import TYPE_CHECKING, Any

from processpool.api.leaves import leaf
from processpool.system.text import escape_control
from processpool.widget import words
from processpool.widget.words import format_count, format_duration

if TYPE_CHECKING:
    from processpool.core.run_record import RunRecord
    from processpool.core.run_totals import RunTotals
    from processpool.core.snapshot import MapSnapshot
    from processpool.widget.eta import Range

MAX_GROUPS = 8
"""The most kinds of errors that are listed."""
MAX_ERROR = 300
"""The most characters of an error that are shown."""
WIDTH, HEIGHT = 600, 10
"""The size of the bar in pixels."""
COLOURS = {"ok": "#2f81d6", "failed": "#c1202b", "cancelled": "#8a6f9e", "left": "#8884"}
"""The colours of outcomes; those of the widget."""
BUSY_HEIGHT = 28
"""The height of the picture of how busy the workers were."""
WORTH_ADVICE = 1.0
"""Seconds that a map must have taken to be given advice on."""

Bundle = dict[str, Any]
"""A MIME bundle: the same content by MIME type."""


def running(run: MapSnapshot, eta: Range | None, rate: float, key: str) -> Bundle:
    """Return a map that runs, as it is saved meanwhile; the front end shows it live by its key."""
    text = " · ".join(
        [
            f"▶ {label_of(run)}",
            counts(run),
            f"{rate:.3g} items/s",
            *([f"{words.format_range(*eta)} to go"] if eta else []),
            f"running, as of {strftime('%H:%M:%S', localtime())}",
        ]
    )
    html = f"<div><strong>{escape(text)}</strong></div>{outcome_bar(run)}"
    mark = f' data-processpool="{escape(key)}" data-map="{run.id}"' if key else ""
    return {"text/plain": text, "text/html": f"<div{mark}>{html}</div>"}


def final(run: MapSnapshot, record: RunRecord) -> Bundle:
    """Return the record of a map that has ended."""
    totals = record.totals()
    lines = _lines(run, record, totals)
    groups = record.errors.largest_first()[:MAX_GROUPS]
    errors = [
        (format_count(group.count), _cut(group.message), str(group.index)) for group in groups
    ]
    text = "\n".join([*lines, *(f"  {count}  {error}" for count, error, _ in errors)])
    head, *rest = lines
    parts = [f"<div><strong>{escape(head)}</strong></div>", outcome_bar(run)]
    parts += [f"<div>{escape(line)}</div>" for line in rest]
    parts += [_busy_picture(record, totals), _error_table(errors)]
    return {"text/plain": text, "text/html": f"<div>{''.join(parts)}</div>"}


def label_of(run: MapSnapshot) -> str:
    """Return the name of a map, fit for display."""
    return escape_control(run.label)[:80]


def counts(run: MapSnapshot) -> str:
    """Return how the items of a map have ended."""
    return words.format_counts(run.ok, run.failed, run.cancelled, of=run.total)


def outcome_bar(run: MapSnapshot) -> str:
    """Return a bar of how the items have ended, as SVG."""
    ended = run.done + run.cancelled
    whole = max(run.total or ended, 1)
    parts, left = list[str](), 0.0
    for how, count in (("ok", run.ok), ("failed", run.failed), ("cancelled", run.cancelled)):
        width = WIDTH * count / whole
        if count:
            parts.append(
                f'<rect x="{left:.1f}" width="{max(width, 1):.1f}" height="{HEIGHT}" '
                f'fill="{COLOURS[how]}"><title>{format_count(count)} {how}</title></rect>'
            )
        left += width
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{COLOURS["left"]}"></rect>'
    return _svg(HEIGHT, counts(run), [ground, *parts])


def _lines(run: MapSnapshot, record: RunRecord, totals: RunTotals) -> list[str]:
    """Return what there is to say of an ended map, its headline first."""
    mark = "✓" if run.complete and not run.failed else "■" if not run.complete else "✖"
    rate = run.done / run.seconds if run.seconds else 0.0
    head = f"{mark} {label_of(run)} · {counts(run)} · {format_duration(run.seconds)}"
    lines = [f"{head} · {rate:.3g} items/s"]
    if not run.complete and record.why:
        lines.append(f"ended early: {_cut(record.why)}")
    if totals.items:
        middle, late = totals.runs.percentile(50), totals.runs.percentile(95)
        lines.append(
            f"an item took {_short(middle)} (median), {_short(late)} (p95), "
            f"{_short(totals.runs.largest)} at most"
        )
        busy = sum(sum(row) for row in totals.busy.rows.values())
        slots = max(len(totals.busy.rows), 1)
        share = min(busy / (slots * run.seconds), 1.0) if run.seconds else 0.0
        lines.append(f"{slots} worker{'s' * (slots != 1)}, busy {share:.0%} of the time")
    advice: Any = leaf("report").advise(record, totals) if run.seconds >= WORTH_ADVICE else None
    return lines if advice is None else [*lines, f"→ {_cut(advice.line)}"]


def _busy_picture(record: RunRecord, totals: RunTotals) -> str:
    """Return how many workers were busy over time, as SVG."""
    bins = totals.busy
    if not bins.rows or record.ended is None:
        return ""
    used = bins.used(max(record.ended, record.began))
    slots, step = len(bins.rows), WIDTH / used
    share = [
        min(sum(row[place] for row in bins.rows.values()) / (bins.width * slots), 1.0)
        for place in range(used)
    ]
    points = [f"0,{BUSY_HEIGHT}"]
    for place, value in enumerate(share):
        y = BUSY_HEIGHT * (1 - value)
        points += [f"{place * step:.1f},{y:.1f}", f"{(place + 1) * step:.1f},{y:.1f}"]
    points.append(f"{WIDTH},{BUSY_HEIGHT}")
    area = f'<polygon points="{" ".join(points)}" fill="{COLOURS["ok"]}" fill-opacity="0.5"/>'
    return _svg(BUSY_HEIGHT, "busy workers over time", [area])


def _error_table(errors: list[tuple[str, str, str]]) -> str:
    if not errors:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("items", "error", "first item"))
    rows = "".join(
        f"<tr><td>{count}</td><td>{escape(error)}</td><td>{index}</td></tr>"
        for count, error, index in errors
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _svg(height: int, title: str, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _short(seconds: float) -> str:
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else format_duration(seconds)


def _cut(text: str) -> str:
    text = escape_control(text)
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"
