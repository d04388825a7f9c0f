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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processpool.pool import ProcessPool
    from processpool.widget.view import State

SWITCH = "PROCESSPOOL_WIDGET"
"""An environment variable; `off` turns the widget off."""


def can_be_live(setting: str) -> bool:
    """True if there is a kernel, the `notebook` extra is installed, and nobody turned it off."""
    if setting == "off" or os.environ.get(SWITCH, "").lower() in ("off", "0", "no", "false"):
        return False
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None and find_spec("anywidget") is not None


def state_of(pool: ProcessPool) -> State:
    """What is shown of a pool at this moment, without a history."""
    from processpool.widget.view import Figures, render

    snapshot = pool.snapshot()
    memory = {worker.id: worker.memory for worker in snapshot.workers if worker.memory is not None}
    return render(snapshot, Figures(memory=memory))
