"""The folder that relative paths start from."""

from __future__ import annotations

import os
from pathlib import Path


def current_folder() -> Path:
    """Return the folder that this process is in.

    If it was deleted meanwhile, that is the name which the system still has for it, and which leads
    nowhere: what needs the folder says so, and what does not goes on.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.readlink("/proc/self/cwd"))
