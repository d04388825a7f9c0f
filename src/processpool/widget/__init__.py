"""The pool in a notebook: a live widget, and a static table where there can be none.

    snapshot ─▶ lanes, paces, log ─▶ view (render) ─▶ delta ─▶ frames ─▶ browser
                                        └─▶ static (HTML, text)

The package reads snapshots and calls public methods. Nothing here is imported before a pool is
shown, and the widget's own module only in a kernel.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from processpool.core.states import PoolState

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.api.view import PoolView
    from processpool.widget.display import Bundle, Display
    from processpool.widget.view import State

SWITCH = "PROCESSPOOL_WIDGET"
"""An environment variable; `off` turns the widget off."""

_displays: WeakKeyDictionary[PoolView, Display] = WeakKeyDictionary()
"""The display of each pool that was shown, as long as there is the pool."""


def can_be_live(setting: str) -> bool:
    """True if there is a kernel, the `notebook` extra is installed, and nobody turned it off."""
    if setting == "off" or os.environ.get(SWITCH, "").lower() in ("off", "0", "no", "false"):
        return False
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None and find_spec("anywidget") is not None


def state_of(pool: PoolView) -> State:
    """What is shown of a pool at this moment, without a history."""
    from processpool.widget.view import Figures, render

    snapshot = pool.snapshot()
    memory = {worker.id: worker.memory for worker in snapshot.workers if worker.memory is not None}
    return render(snapshot, Figures(memory=memory))


def show(pool: PoolView) -> None:
    """Show a pool as the result of a cell.

    Raises:
        NotImplementedError: there can be no widget; IPython then shows the static table.
    """
    ended = pool.state is PoolState.CLOSED
    if ended or not can_be_live(pool.config.widget):
        raise NotImplementedError("there is nothing live to show")
    display_of(pool, _publish).show()


def display_of(pool: PoolView, publish: Callable[[Bundle], Any]) -> Display:
    """The display of a pool, which is made when it is first asked for.

    `publish` puts something into a cell's output; what it returns can `update` it.
    """
    from processpool.widget.display import Display

    display = _displays.get(pool)
    if display is None:
        display = _displays[pool] = Display(pool, publish)
        pool.attach(display)
    return display


def _publish(bundle: dict[str, Any]) -> Any:
    """Put something into the output of the cell that runs, so that it can be replaced later."""
    from IPython.display import display

    return display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]


def to_html(pool: PoolView) -> str:
    """The static table of a pool, as it is now, or as it was at its end."""
    from processpool.widget import static

    display = _displays.get(pool)
    ended = None if display is None else display.final
    return static.to_html(state_of(pool) if ended is None else ended)
