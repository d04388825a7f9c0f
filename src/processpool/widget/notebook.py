"""Whether this is a notebook, and what can be shown in it."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.util import find_spec

SWITCH = "PROCESSPOOL_WIDGET"
"""The environment variable that disables the widget when it is `off`."""


def in_notebook(setting: str) -> bool:
    """Return whether there is a kernel that displays, and the widget is not disabled."""
    if setting == "off" or os.environ.get(SWITCH, "").lower() in ("off", "0", "no", "false"):
        return False
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


@cache
def has_anywidget() -> bool:
    """Return whether the `notebook` extra is installed."""
    return find_spec("anywidget") is not None


def can_be_live(setting: str) -> bool:
    """Return whether there is a kernel and anywidget, and the widget is not disabled."""
    return in_notebook(setting) and has_anywidget()
