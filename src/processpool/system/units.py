"""Formatting of sizes and durations as in the YAML: `512MiB`, `10m`."""

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
