"""The display of a pool in a notebook: a live widget, or a static table without a kernel.

    snapshot ─▶ lanes, paces, log ─▶ view (render) ─▶ delta ─▶ frames ─▶ browser
                                        └─▶ static (HTML, text)

The package reads snapshots and calls public methods only. None of it is imported before a pool is
displayed, and `widget.widget`, which needs anywidget, only in a kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from processpool.core.states import PoolState
from processpool.widget.notebook import can_be_live, has_anywidget, in_marimo, in_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.api.view import Follower, PoolView
    from processpool.widget.display import Display
    from processpool.widget.record import Bundle
    from processpool.widget.view import State

_displays: WeakKeyDictionary[PoolView, Display] = WeakKeyDictionary()
"""The display of each pool that was shown, while the pool exists."""
_records: WeakKeyDictionary[PoolView, Follower] = WeakKeyDictionary()
"""What leaves the records of a pool's maps in the cells of marimo."""


def follower(pool: PoolView) -> Follower | None:
    """Return what shows the maps of a pool in the cells that run them; None outside notebooks."""
    if in_notebook(pool.config.widget):
        return display_of(pool, _publish)
    if in_marimo(pool.config.widget):
        from processpool.widget.marimo_cells import Records

        return _records.setdefault(pool, Records())
    return None


def state_of(pool: PoolView) -> State:
    """Return the display state of a pool at this moment, without the figures of a live display."""
    from processpool.widget.view import Figures, render

    snapshot = pool.snapshot()
    memory = {worker.id: worker.memory for worker in snapshot.workers if worker.memory is not None}
    return render(snapshot, Figures(memory=memory))


def show(pool: PoolView) -> None:
    """Show the live widget of a pool in the output of the running cell.

    Raises:
        NotImplementedError: the pool is closed, or there can be no live widget; IPython then falls
            back to the static table.
    """
    ended = pool.state is PoolState.CLOSED
    if ended or not can_be_live(pool.config.widget):
        raise NotImplementedError("there is nothing live to show")
    display_of(pool, _publish).show()


def marimo_view(pool: PoolView) -> Any:
    """Return what marimo shows of a pool: the live widget, or else a static table."""
    from processpool.widget import marimo_cells
    from processpool.widget.display import Elsewhere

    if pool.state is not PoolState.CLOSED and in_marimo(pool.config.widget) and has_anywidget():
        model = display_of(pool, lambda _: Elsewhere()).model()
        if model is not None:
            return marimo_cells.panel(model)
    return marimo_cells.page(to_html(pool))


def display_of(pool: PoolView, publish: Callable[[Bundle], Any]) -> Display:
    """Return the display of a pool; the first call creates it.

    `publish` adds a MIME bundle to the running cell's output, and returns a handle whose `update`
    replaces it.
    """
    from processpool.widget.display import Display

    display = _displays.get(pool)
    if display is None:
        display = _displays[pool] = Display(pool, publish)
        pool.attach(display)
    return display


def _publish(bundle: dict[str, Any]) -> Any:
    """Add a bundle to the running cell's output, and return the handle that can replace it."""
    from IPython.display import display

    return display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]


def to_html(pool: PoolView) -> str:
    """Return a pool as an HTML table: as it is now, or as it was when it was closed."""
    from processpool.widget import static

    display = _displays.get(pool)
    ended = None if display is None else display.final
    return static.to_html(state_of(pool) if ended is None else ended)
