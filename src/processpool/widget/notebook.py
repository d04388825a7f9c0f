"""Whether this is a notebook, and what can be shown in it."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.util import find_spec
from threading import Thread

SWITCH = "PROCESSPOOL_WIDGET"
"""The environment variable that disables the widget when it is `off`."""
OFF = ("off", "0", "no", "false")
"""The values that mean `off`."""


def in_notebook(setting: str) -> bool:
    """Return whether there is a kernel that displays, and the widget is not disabled."""
    if not is_enabled(setting):
        return False
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def is_enabled(setting: str) -> bool:
    """Return whether displays are on, in the YAML and in the environment."""
    return setting != "off" and os.environ.get(SWITCH, "").lower() not in OFF


def in_marimo(setting: str) -> bool:
    """Return whether a marimo notebook runs this thread, and the widget is not disabled."""
    marimo = sys.modules.get("marimo")
    return is_enabled(setting) and marimo is not None and bool(marimo.running_in_notebook())


def thread_class() -> type[Thread]:
    """Return the class of threads that can send something to the page."""
    if in_marimo("auto"):
        own: type[Thread] = sys.modules["marimo"].Thread
        return own
    return Thread


@cache
def has_anywidget() -> bool:
    """Return whether the `notebook` extra is installed."""
    return find_spec("anywidget") is not None


def can_be_live(setting: str) -> bool:
    """Return whether there is a kernel and anywidget, and the widget is not disabled."""
    return in_notebook(setting) and has_anywidget()
