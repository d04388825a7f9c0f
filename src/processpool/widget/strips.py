"""The strips of a pool's maps: what a cell shows of the map that it runs, and keeps of it.

A strip begins when its map has run for a moment, in the output of the cell that runs it, and ends
as the map's record. What is saved meanwhile says how far the map was.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from contextvars import copy_context
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.widget import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.api.view import Followed
    from processpool.core.snapshot import MapSnapshot
    from processpool.widget.eta import Range

SHOWN_AFTER = 0.4
"""Seconds that a map must have run to be shown, unless the user has asked to see it."""
MAX_STRIPS = 12
"""The most strips of one cell that nobody has asked for."""
SAVED_EVERY = 10.0
"""Seconds between two versions for the notebook's file, while a front end shows a strip live."""
SHOWN_EVERY = 1.0
"""The same while none does."""


class Strip:
    """The output of one map."""

    def __init__(self, run: Followed, publish: Callable[[record.Bundle], Any]) -> None:
        self.run = run
        self._publish = publish
        self._context = copy_context()
        """Belongs to the cell that runs the map: outputs go there."""
        self.cell = _cell()
        self.output: Any = None
        self._shown_at = 0.0

    def show(self, bundle: record.Bundle) -> None:
        """Show this: the first time in a new output of the cell, then in its place."""
        self._shown_at = monotonic()
        with suppress(Exception):
            if self.output is None:
                self.output = self._context.run(self._publish, bundle)
            else:
                self.output.update(bundle, raw=True)

    def is_due(self, *, live: bool) -> bool:
        """True if it is time for another version; `live`: a front end shows it by itself."""
        return monotonic() >= self._shown_at + (SAVED_EVERY if live else SHOWN_EVERY)


class Strips:
    """The strips of the maps that run. Thread-safe."""

    def __init__(self, publish: Callable[[record.Bundle], Any]) -> None:
        """`publish` adds a bundle to the running cell's output, and returns a handle to it."""
        self._publish = publish
        self._strips: dict[int, Strip] = {}
        self._lock = Lock()
        self._cell: object = None
        self._shown_here = 0
        """Strips that nobody has asked for, of the current cell."""

    def __bool__(self) -> bool:
        return bool(self._strips)

    def began(self, run: Followed) -> None:
        """A map has begun, on this thread."""
        self._strips.setdefault(run.number, Strip(run, self._publish))

    def ended(self, run: Followed) -> None:
        """A map has ended: leave its record, if it was shown or somebody wants to see it."""
        with self._lock:
            strip = self._strips.pop(run.number, None)
            if strip is not None and (strip.output is not None or run.is_wanted):
                with suppress(Exception):
                    strip.show(record.final(run.snapshot(), run.look()))

    def update(
        self,
        maps: tuple[MapSnapshot, ...],
        etas: dict[int, Range],
        rates: dict[int, float],
        key: str,
        *,
        live: bool,
    ) -> None:
        """Show and save what runs, and leave the records of what nobody has ended by itself."""
        with self._lock:
            known = {run.id: run for run in maps}
            over = [strip.run for number, strip in self._strips.items() if number not in known]
            for number, run in known.items():
                strip = self._strips.get(number)
                if strip is None or not self._wants(strip, run):
                    continue
                if strip.output is None or strip.is_due(live=live):
                    bundle = record.running(run, etas.get(number), rates.get(number, 0.0), key)
                    strip.show(bundle)
        for ended in over:
            if ended.is_over:
                self.ended(ended)

    def _wants(self, strip: Strip, run: MapSnapshot) -> bool:
        """True if a strip is, or is to be, on show."""
        if strip.output is not None:
            return True
        if run.seconds < SHOWN_AFTER:
            return False
        if strip.run.is_wanted:
            return True
        if strip.cell != self._cell:
            self._cell, self._shown_here = strip.cell, 0
        self._shown_here += 1
        return self._shown_here <= MAX_STRIPS


def _cell() -> object:
    """Return what tells the running cell from others."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "execution_count", None)
