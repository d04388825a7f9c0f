"""Formatting for displays: glyphs for states, and short forms of numbers.

A state is always shown by its word and glyph, so that it can be read without colour. The front end
formats in the same way, in `front/words.js`.
"""

from __future__ import annotations

from processpool.core.states import PoolState, WorkerState

WORKER_GLYPHS = {
    WorkerState.STARTING: "◌",
    WorkerState.IDLE: "○",
    WorkerState.BUSY: "●",
    WorkerState.LEASED: "◆",
    WorkerState.STOPPING: "◍",
}
"""The glyphs of a worker's states."""
POOL_GLYPHS = {
    PoolState.NEW: "○",
    PoolState.OPENING: "◌",
    PoolState.OPEN: "●",
    PoolState.PAUSED: "‖",
    PoolState.CLOSING: "◍",
    PoolState.CLOSED: "■",
    PoolState.BROKEN: "✖",
    PoolState.FORKED: "■",
}
"""The glyphs of a pool's states."""
_SIZES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def format_count(number: float) -> str:
    """Return a count with thousands separators: `12,345`."""
    return f"{number:,.0f}"


def format_counts(ok: int, failed: int, cancelled: int, of: int | None = None) -> str:
    """Return how items have ended: `12 of 20 ok · 3 failed · 5 cancelled`."""
    total = "" if of is None else f" of {format_count(of)}"
    parts = [f"{format_count(ok)}{total} ok", f"{format_count(failed)} failed"]
    return " · ".join([*parts, f"{format_count(cancelled)} cancelled"] if cancelled else parts)


def format_duration(seconds: float) -> str:
    """Return a duration: `0.3 s`, `12 s`, `3:05`, `1:02:03`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_range(low: float, high: float) -> str:
    """Return an estimate: `about 12 s`, `10 s to 25 s`, or `up to 25 s`."""
    if high <= 1.6 * low or high < 2:
        return f"about {format_duration((low + high) / 2)}"
    if low < 0.15 * high:
        return f"up to {format_duration(high)}"
    return f"{format_duration(low)} to {format_duration(high)}"


def format_size(number: int) -> str:
    """Return a number of bytes in a fitting unit: `512 B`, `3.4 MiB`."""
    for unit, name in _SIZES:
        if number >= unit:
            value = number / unit
            return f"{value:.0f} {name}" if value >= 9.95 else f"{value:.1f} {name}"
    return f"{number} B"
