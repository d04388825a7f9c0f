"""`breakpoint()` in a worker: no debugger finds a terminal there, so it says what to do instead."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OF_PYTHON = ("", "pdb.set_trace")
"""Values of PYTHONBREAKPOINT that mean the debugger that needs a terminal."""


def on_breakpoint(*args: Any, **keywords: Any) -> Any:
    """Raise an error with advice; a debugger that PYTHONBREAKPOINT names is called instead.

    Raises:
        RuntimeError: none is named.
    """
    if os.environ.get("PYTHONBREAKPOINT", "") not in _OF_PYTHON:
        return sys.__breakpointhook__(*args, **keywords)
    raise RuntimeError(
        "breakpoint() in a worker, which has no terminal: with PROCESSPOOL_INLINE=1 in the "
        "environment, or inline: true in the pool, functions run where you can debug them; for an "
        "item that has failed there is pool.debug(outcome)"
    )
