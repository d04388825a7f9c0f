"""The report as HTML: one page that needs neither script nor network, or a part of a notebook."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from processpool.report import charts
from processpool.report.style import PAGE_STYLE, STYLE
from processpool.report.verdict import Shares
from processpool.report.words import count, percent, rate, seconds, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from processpool.report.told import Failures, Told


def whole_page(told: Told) -> str:
    """Return a page of its own."""
    title = escape(f"{told.record.name}: how it ran")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{PAGE_STYLE}</style></head>"
        f"<body>{fragment(told)}</body></html>\n"
    )


def fragment(told: Told) -> str:
    """Return what can be put into another page."""
    return f'<div class="pp-report"><style>{STYLE}</style>{"".join(_parts(told))}</div>'


def _parts(told: Told) -> Iterator[str]:
    yield from _head(told)
    yield from _outcomes(told)
    yield from _failures(told)
    if told.totals.items:
        yield from _times(told)
        yield from _over_time(told)
        yield from _slowest(told)
    yield _foot(told)


def _head(told: Told) -> Iterator[str]:
    record, totals = told.record, told.totals
    yield f"<header><h1>{escape(record.name)}</h1><p class=dim>"
    began = datetime.fromtimestamp(record.began_at).astimezone()
    pace = rate(totals.items / max(record.seconds, 1e-9))
    yield (
        f"{began:%Y-%m-%d %H:%M:%S}, {seconds(record.seconds)}, "
        f"{count(len(totals.busy.rows) or record.slots, 'worker')}, "
        f"{pace} {told.naming.noun}s a second</p></header>"
    )
    _, failed, cancelled = told.parts
    wrong = bool(failed or cancelled or record.why)
    yield f'<section class="verdict{" wrong" if wrong else ""}" id="verdict">'
    for line in _what_went_wrong(told):
        yield f"<p>{line}</p>"
    verdict = told.verdict
    yield f"<p><b>{verdict.title}.</b> {escape(verdict.why)}</p>"
    yield f"<p>{escape(verdict.advice)}</p></section>"


def _what_went_wrong(told: Told) -> Iterator[str]:
    ok, failed, cancelled = told.parts
    noun, why = told.naming.noun, told.record.why
    total = ok + failed + cancelled
    if why:
        yield (
            f"<b>It ended early</b>, after {count(ok + failed, noun)} of {total:,}: "
            f"<code>{escape(told.shown(why))}</code>"
        )
    if not failed:
        if not why and not cancelled:
            yield f"All {count(total, noun)} have an answer." if total > 1 else "It has an answer."
        return
    kinds = told.failures
    most = kinds[0] if kinds else None
    text = f"<b>{count(failed, noun)} of {total:,} failed</b>"
    if most is not None:
        share = "all" if most.count == failed else f"most ({most.count:,})"
        text += f", {share} with <code>{escape(most.kind[:200])}</code>"
    yield (
        text + ". Mend the cause, see below, and run these again: "
        "<code>outcomes.retry()</code>, the same call with its <code>journal</code>, or "
        "<code>--replay</code> of what <code>--failed</code> has written."
    )


def _outcomes(told: Told) -> Iterator[str]:
    ok, failed, cancelled = told.parts
    parts = [
        ("ok", f"{ok:,} ok", ok),
        ("bad", f"{failed:,} failed", failed),
        ("off", f"{cancelled:,} cancelled", cancelled),
    ]
    yield f"<h2>Outcome</h2><figure>{charts.shares(parts, 'what has become of the items')}"
    yield f"<figcaption>{charts.legend(parts)}</figcaption></figure>"


def _failures(told: Told) -> Iterator[str]:
    failures = told.failures
    if not failures:
        return
    yield "<h2>What failed</h2>"
    for number, one in enumerate(failures):
        yield f"<details{' open' if not number else ''}><summary><b>{one.count:,} x</b> "
        yield f"<code>{escape(one.kind)}</code></summary>{''.join(_example(one))}</details>"
    more = len(told.groups or ()) - len(failures)
    if more > 0:
        yield f"<p class=dim>and {count(more, 'kind')} more</p>"


def _example(one: Failures) -> Iterator[str]:
    yield f"<p>Example: {escape(one.item)}"
    yield f": <code>{escape(one.argument)}</code></p>" if one.argument else "</p>"
    if one.traceback:
        yield f"<pre>{escape(one.traceback)}</pre>"
    if one.stderr.strip():
        yield f"<p class=dim>What it wrote to stderr:</p><pre>{escape(one.stderr)}</pre>"


def _times(told: Told) -> Iterator[str]:
    totals, record = told.totals, told.record
    yield "<h2>Where the time went</h2>"
    shares = Shares(record, totals)
    phases = record.phases
    rest = shares.rest * shares.seconds
    parts = [
        ("one", "waited for answers", phases.waiting),
        ("two", "waited for the input", phases.reading),
        ("three", "pickled and unpickled", phases.packing + phases.loading),
        ("off", "took answers" if record.is_lazy else "passed items on", rest),
    ]
    yield f"<figure>{charts.shares(parts, 'what the calling thread did', 16)}<figcaption>"
    yield f"The thread that called: {charts.legend(parts)}</figcaption></figure>"
    yield "<div class=pair>"
    for bins, name, what in (
        (totals.runs, "Run", "for which a worker had an item"),
        (totals.waits, "Wait", "that an item waited to be handed to a worker"),
    ):
        figures = (
            f"mean {seconds(bins.mean)}, p50 {seconds(bins.percentile(50))}, "
            f"p90 {seconds(bins.percentile(90))}, p99 {seconds(bins.percentile(99))}, "
            f"max {seconds(bins.largest)}"
        )
        yield f"<figure><figcaption><b>{name}</b>: time {what}</figcaption>"
        yield f"{charts.histogram(bins, name)}<figcaption>{figures}</figcaption></figure>"
    yield "</div>"


def _over_time(told: Told) -> Iterator[str]:
    totals, record = told.totals, told.record
    time = charts.Time(record.seconds)
    busy = totals.busy
    used = busy.used(record.began + record.seconds)
    slots = sorted(busy.rows)
    shown = slots[: charts.LANES]
    ends = record.seconds - (used - 1) * busy.width
    widths = [busy.width] * (used - 1) + [max(min(ends, busy.width), 1e-9)]
    rows = [(f"slot {slot}", _parts_of(busy.rows[slot][:used], widths)) for slot in shown]
    yield "<h2>Over time</h2>"
    yield f"<figure><figcaption>How busy each slot was, {_mean_busy(told)}</figcaption>"
    yield charts.lanes(rows, busy.width, time)
    if len(slots) > len(shown):
        yield f"<figcaption>and {count(len(slots) - len(shown), 'slot')} more</figcaption>"
    yield "</figure>"
    if len(slots) > len(shown):
        columns = zip(*(busy.rows[slot][:used] for slot in slots), strict=True)
        both = [sum(column) / width for column, width in zip(columns, widths, strict=True)]
        yield _area(charts.area(both, busy.width, time, "Busy workers", "workers"), "Busy workers")
    for bins, words, kind in (
        (totals.done, f"{told.naming.noun.capitalize()}s that ended, a second", "area"),
        (totals.failures, f"{told.naming.noun.capitalize()}s that failed, a second", "wrongs"),
    ):
        if bins.rows:
            (row,) = bins.rows.values()
            rates = [
                amount / bins.width for amount in row[: bins.used(record.began + record.seconds)]
            ]
            yield _area(charts.area(rates, bins.width, time, words, "/ s", kind=kind), words)
    yield _memory(told, time)


def _parts_of(row: Sequence[float], widths: Sequence[float]) -> list[float]:
    return [min(amount / width, 1.0) for amount, width in zip(row, widths, strict=True)]


def _mean_busy(told: Told) -> str:
    shares = Shares(told.record, told.totals)
    return f"{percent(shares.busy)} of {count(shares.workers, 'worker')} on average"


def _memory(told: Told, time: charts.Time) -> str:
    memory = told.record.memory
    if memory is None:
        return ""
    used = memory.used(told.record.began + told.record.seconds)
    total = [0.0] * used
    for row in memory.rows.values():
        known = next((amount for amount in row if amount), 0.0)
        for at, amount in enumerate(row[:used]):
            known = amount or known
            total[at] += known
    worst = max(memory.rows, key=lambda slot: max(memory.rows[slot]))
    words = f"Memory of the workers: {size(max(total))} at most"
    if len(memory.rows) > 1:
        words += f", of slot {worst} {size(max(memory.rows[worst]))}"
    return _area(charts.area(total, memory.width, time, "Memory", "bytes"), words)


def _area(drawn: str, words: str) -> str:
    return f"<figure><figcaption>{escape(words)}</figcaption>{drawn}</figure>" if drawn else ""


def _slowest(told: Told) -> Iterator[str]:
    usual = told.totals.runs.percentile(50)
    yield f"<h2>The slowest {told.naming.noun}s</h2><table><tr><th>{told.naming.noun}</th>"
    yield "<th>argument</th><th class=n>time</th><th class=n>x median</th>"
    yield "<th class=n>slot</th></tr>"
    for one in told.slowest:
        times = f"{one.seconds / usual:,.1f}" if usual else ""
        yield (
            f"<tr><td>{escape(one.item)}</td><td><code>{escape(one.argument)}</code></td>"
            f"<td class=n>{seconds(one.seconds)}</td><td class=n>{times}</td>"
            f"<td class=n>{one.slot}</td></tr>"
        )
    yield "</table>"


def _foot(told: Told) -> str:
    from importlib.metadata import version
    from platform import python_version

    totals = told.totals
    ok, failed, _ = told.parts
    other = ok + failed - totals.items
    kept = (
        f"; {count(other, told.naming.noun)} reached no worker (answered by a journal, or refused)"
        if other > 0
        else ""
    )
    return (
        f"<footer>Times of {count(totals.items, told.naming.noun)}{kept}. Very fast ones that "
        "followed each other share theirs. "
        f"processpool {version('processpool')}, Python {python_version()}.</footer>"
    )
