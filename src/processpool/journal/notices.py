"""Warnings about journals, which name the line of the user's code that has run the map."""

from __future__ import annotations

import sys
from pathlib import Path
from warnings import warn

from processpool.errors import JournalWarning

_PACKAGE = str(Path(__file__).parent.parent)


def warn_caller(message: str) -> None:
    """Warn whoever has called the package."""
    frame = sys._getframe(1)
    level = 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warn(message, JournalWarning, stacklevel=level)
