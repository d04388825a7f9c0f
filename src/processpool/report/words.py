"""Numbers in words: seconds, bytes, parts, and what an item was."""

from __future__ import annotations

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def seconds(amount: float) -> str:
    """Return a duration: `3 h 05 min`, `2 min 03 s`, `1.5 s`, `12 ms`."""
    if amount >= 3600:
        return f"{int(amount // 3600)} h {int(amount % 3600 // 60):02d} min"
    if amount >= 120:
        return f"{int(amount // 60)} min {int(amount % 60):02d} s"
    for unit, name in _UNITS:
        if amount >= unit:
            return f"{_digits(amount / unit)} {name}"
    return f"{_digits(amount / 1e-6)} µs" if amount else "0 s"


def size(amount: float) -> str:
    """Return a number of bytes: `1.5 GiB`."""
    for name in _SIZES[:-1]:
        if amount < 1024:
            return f"{_digits(amount)} {name}"
        amount /= 1024
    return f"{_digits(amount)} {_SIZES[-1]}"


def percent(part: float) -> str:
    """Return a part of 1: `3.4 %`, `97 %`. Nothing that is there is called none, or all."""
    shown = part * 100
    if 0 < shown < 0.05:
        return "under 0.1 %"
    if 99.95 <= shown < 100:
        return "over 99.9 %"
    is_fine = 0 < shown < 9.95 or 99.5 <= shown < 100
    return f"{shown:.1f} %" if is_fine else f"{shown:.0f} %"


def rate(amount: float) -> str:
    """Return how many a second, as a number: `630,000`, `2.5`."""
    return _digits(amount)


def count(number: int, noun: str) -> str:
    """Return so many of something: `1 item`, `12,000 items`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _digits(number: float) -> str:
    """Three digits at most, of which no last one is a 0 behind the point."""
    return f"{number:,.0f}" if number >= 99.95 else f"{number:.3g}"
