"""A pool as a static table, without a kernel or script: for saved notebooks, GitHub, nbconvert.

The table is HTML without styles, since viewers strip these, or plain text. All text of workers is
escaped.
"""

from __future__ import annotations

from html import escape
from itertools import compress
from typing import TYPE_CHECKING, Any

from processpool.core.states import PoolState, WorkerState
from processpool.widget import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.widget.view import State

COLUMNS = ("worker", "slot", "pid", "state", "item", "ok", "failed", "CPU", "memory")
ENDED = "ended"
"""The state that is shown for the workers of a closed pool."""
_CLOSED_GLYPH = words.POOL_GLYPHS[PoolState.CLOSED]


def final(before: State, after: State) -> State:
    """Return the state to show of a closed pool: final totals, and the workers that it had."""
    if after["order"] or not before:
        return after
    rows = {
        key: [row[0], ENDED, None, None, *row[4:8], False, None, row[10], ""]
        for key, row in _rows(before)
    }
    return {**after, "order": before["order"], "rows": rows, "hidden": before["hidden"]}


def headline(state: State) -> str:
    """Return a pool's state and totals in one line."""
    glyph = words.POOL_GLYPHS[PoolState(state["state"])]
    parts = [f"{glyph} {state['name']}: {state['state']}"]
    alive = sum(state["workers"].values())
    if alive:
        counts = [f"{count} {word}" for word, count in state["workers"].items() if count]
        parts.append(f"{alive} worker{'s' * (alive != 1)} ({', '.join(counts)})")
    if state["queued"]:
        parts.append(f"{words.format_count(state['queued'])} queued")
    return " · ".join(
        [*parts, words.format_counts(state["ok"], state["failed"], state["cancelled"])]
    )


def to_text(state: State) -> str:
    """Return a pool as a table in plain text."""
    lines = [headline(state), *_map_lines(state)]
    if state["order"]:
        table = _cells(state)
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines += ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in table]
    lines += _notes(state)
    return "\n".join(lines)


def to_html(state: State) -> str:
    """Return a pool as a table in HTML."""
    parts = [f"<p><strong>{escape(headline(state))}</strong></p>"]
    parts += [f"<p>{escape(line)}</p>" for line in _map_lines(state)]
    if state["order"]:
        parts.append(_table(state))
    parts += [f"<pre>{escape(line)}</pre>" for line in _notes(state)]
    return "\n".join(parts)


def _table(state: State) -> str:
    names, *rows = ([escape(cell) for cell in cells] for cells in _cells(state))
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _cells(state: State) -> list[list[str]]:
    """Return the table's cells, headings first, without empty columns."""
    rows = [_row(key, row) for key, row in _rows(state)]
    used = [any(column) for column in zip(*rows, strict=True)]
    return [list(compress(row, used)) for row in ([*COLUMNS], *rows)]


def _row(key: str, row: list[Any]) -> list[str]:
    pid, word, item, _, ok, failed, cpu, memory, _, _, slot, _ = row
    return [
        key,
        _text(slot),
        _text(pid),
        f"{_glyph(word)} {word}",
        _text(item),
        words.format_count(ok),
        words.format_count(failed),
        "" if cpu is None else f"{cpu} %",
        "" if memory is None else words.format_size(memory),
    ]


def _rows(state: State) -> Iterator[tuple[str, list[Any]]]:
    return ((str(number), state["rows"][str(number)]) for number in state["order"])


def _glyph(word: str) -> str:
    return _CLOSED_GLYPH if word == ENDED else words.WORKER_GLYPHS[WorkerState(word)]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _map_lines(state: State) -> list[str]:
    lines = []
    for _, label, ok, failed, cancelled, total, _, eta, _ in state["maps"]:
        line = _progress_line(label, ok, failed, cancelled, total)
        lines.append(line + (f", {words.format_range(*eta)} to go" if eta else ""))
    for _, label, ok, failed, cancelled, total, seconds, complete in reversed(state["ended"]):
        early = "" if complete or total is None else ", ended early"
        line = _progress_line(label, ok, failed, cancelled, total)
        lines.append(f"{line} in {words.format_duration(seconds)}{early}")
    return lines


def _progress_line(label: str, ok: int, failed: int, cancelled: int, total: int | None) -> str:
    counts = words.format_counts(ok, failed, cancelled, of=total).replace(" · ", ", ")
    return f"{label}: {counts}"


def _notes(state: State) -> list[str]:
    notes = []
    if state["hidden"]:
        notes.append(f"… and {words.format_count(state['hidden'])} more workers")
    notes += [f"✖ {words.format_count(count)} x {text}" for _, text, _, count in state["failures"]]
    error = state["error"]
    if error is not None and all(error["text"] != text for _, text, _, _ in state["failures"]):
        where = f"Last error, worker {error['worker']}: " if error["worker"] else "Last error: "
        notes.append("\n".join([where + error["text"], *(f"  {line}" for line in error["log"])]))
    return notes
