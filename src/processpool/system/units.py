"""Formatting of sizes and durations as in the YAML: `512MiB`, `10m`; measured sizes are rounded."""

from __future__ import annotations

SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))
"""The units of bytes."""
SECONDS = ((3600, "h"), (60, "m"), (1, "s"))
"""The units of seconds."""
MILLISECONDS = (*((1000 * seconds, unit) for seconds, unit in SECONDS), (1, "ms"))
"""The units of milliseconds."""


def format_units(value: float, units: tuple[tuple[int, str], ...]) -> str:
    """Return the value in the largest unit that divides it, or in the smallest unit."""
    size, unit = next((pair for pair in units if value and value % pair[0] == 0), units[-1])
    return f"{value / size:g}{unit}" if value % size else f"{int(value // size)}{unit}"


def format_measured(size: float) -> str:
    """Return a number of bytes that was measured, in three digits: `481MiB`, `1.5GiB`."""
    unit, name = next((pair for pair in SIZES if size >= pair[0]), SIZES[-1])
    number = size / unit
    return f"{number:.0f}{name}" if number >= 99.95 else f"{number:.3g}{name}"
