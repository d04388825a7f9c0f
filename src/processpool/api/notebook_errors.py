"""Errors as a notebook shows them: the cell, the worker's traceback, which item it is.

IPython would show the frames of this package, and the worker's traceback as an exception of its
own. It calls `_render_traceback_` of an exception that has one, while that is being handled: the
errors of items have one, those of this package, and interrupts that end a wait in it.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from processpool.errors import ProcessPoolError
from processpool.system.interrupts import SHIELD

MOST_OF_WORKER, MOST_OF_CALLER = 11, 7
"""Lines of the worker's traceback, and of the caller's, that are shown."""
_LIBRARY = str(Path(traceback.__file__).parent)
_PACKAGE = str(Path(__file__).parents[1])


def beautify(error: BaseException) -> None:
    """Have IPython show an item's error in few lines, if IPython is there at all."""
    if "IPython" in sys.modules:
        try:
            error._render_traceback_ = render  # type: ignore[attr-defined]
        except Exception:  # its class takes no attributes
            return


def render() -> list[str]:
    """Return the lines that say what the exception is that is being handled."""
    error = sys.exc_info()[1] or getattr(sys, "last_value", None)
    if error is None:
        return []
    shown = _by_ipython(error)
    if shown is None:
        return traceback.format_exception(error)
    worker = worker_lines(getattr(error.__cause__, "tb", ""))
    if worker:
        worker = ["In the worker:", *worker, ""]
    *frames, last = shown
    return [*_few(frames), *worker, last]


def _few(frames: list[str]) -> list[str]:
    """The caller's frames: the first, which are titles, and the end, where it called."""
    lines = "\n".join(frames).rstrip().split("\n")
    return [*lines[:3], *lines[3:][-MOST_OF_CALLER:], ""]


def worker_lines(text: str) -> list[str]:
    """Return the end of a worker's traceback: its frames with their source, without carets."""
    lines = [line for line in text.rstrip().split("\n") if line.strip(" ^~")]
    if lines[:1] == ["Traceback (most recent call last):"]:
        del lines[0]
    frames = [line for line in lines if line.startswith("  ")]
    if len(frames) > MOST_OF_WORKER:
        return ["  …", *frames[1 - MOST_OF_WORKER :]]
    return frames


def _by_ipython(error: BaseException) -> list[str] | None:
    """What IPython makes of it, without its cause and the frames of this package."""
    shell: Any = sys.modules["IPython"].get_ipython()
    if shell is None:
        return None
    before = error.__cause__, error.__context__, error.__suppress_context__
    error.__cause__ = error.__context__ = None
    try:
        trace = without_package(error.__traceback__, waits=not isinstance(error, Exception))
        found: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, trace)
    finally:
        error.__cause__, error.__context__, error.__suppress_context__ = before
    return found


def without_package(trace: TracebackType | None, *, waits: bool) -> TracebackType | None:
    """Return a traceback without the frames of this package.

    With `waits`, also without those of the standard library that this package has called: it was
    interrupted while it waited.
    """
    kept, hidden = [], False
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        hidden = file.startswith(_PACKAGE) or (hidden and waits and file.startswith(_LIBRARY))
        if not hidden:
            kept.append(trace)
        trace = trace.tb_next
    new: TracebackType | None = None
    for one in reversed(kept):
        new = TracebackType(new, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return new


SHIELD.on_raise = beautify
ProcessPoolError._render_traceback_ = staticmethod(render)  # type: ignore[attr-defined]
