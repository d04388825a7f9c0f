"""The current folder, which relative paths are relative to."""

from __future__ import annotations

import os
from pathlib import Path


def current_folder() -> Path:
    """Return the current folder of this process.

    If it has been deleted, this is the path that Linux still reports, marked `(deleted)`. Only code
    that really uses the folder then fails.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.readlink("/proc/self/cwd"))
