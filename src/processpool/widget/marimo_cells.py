"""Pools and maps in marimo: the live panel, and the record that a map leaves in its cell.

marimo takes output of the thread that runs the cell only, so a map has no strip there while it
runs: the panel shows it. Its record is part of the cell's output, unless the cell ends with a value
of its own, which marimo shows in place of everything else.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import marimo

from processpool.widget import record
from processpool.widget.strips import MAX_STRIPS, SHOWN_AFTER

if TYPE_CHECKING:
    from processpool.api.view import Followed
    from processpool.widget.widget import PoolWidget


_STYLE = "<style>.pp-page :is(td, th) { padding: 2px 1em 2px 0; text-align: left; }</style>"
"""Gives cells of tables room, as marimo's own style sheet leaves them none."""


def panel(model: PoolWidget) -> Any:
    """Return the live widget as marimo shows it."""
    return marimo.ui.anywidget(model)


def page(html: str) -> Any:
    """Return HTML as marimo shows it."""
    return marimo.Html(f'{_STYLE}<div class="pp-page">{html}</div>')


class Records:
    """Leaves the records of a pool's maps in the cells that have run them."""

    shows = False
    """A map that somebody wants to see has a progress bar while it runs."""

    def __init__(self) -> None:
        self._cell: object = None
        self._shown_here = 0
        """Records that nobody has asked for, of the current cell."""

    def began(self, run: Followed) -> None:
        """A map has begun: there is nothing to leave yet."""

    def ended(self, run: Followed) -> None:
        """A map has ended, on this thread: leave its record, as strips do in other notebooks."""
        last = run.snapshot()
        if run.is_wanted or (last.seconds >= SHOWN_AFTER and self._has_room()):
            with suppress(Exception):
                marimo.output.append(page(record.final(last, run.look())["text/html"]))

    def left(self, run: Followed) -> None:
        """A map was left early, perhaps by the garbage collector."""

    def _has_room(self) -> bool:
        cell = _cell()
        if cell is not self._cell:
            self._cell, self._shown_here = cell, 0
        self._shown_here += 1
        return self._shown_here <= MAX_STRIPS


def _cell() -> object:
    """Return what tells a run of a cell from others; None if that cannot be said."""
    with suppress(Exception):
        from marimo._runtime.context import get_context

        return get_context().execution_context
    return None
