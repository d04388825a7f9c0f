"""The source of what the main module was made from: a script, cells of a notebook, `python -c`."""

from __future__ import annotations

import linecache
import os
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def files_of_main(cls: type, names: dict[str, Any]) -> Iterator[str]:
    """Names of files in which a class may have been defined that is among these globals.

    The likely ones come first. `linecache` has the source of each: it may be a cell, not a file.
    """
    seen = set()
    methods = (value.__code__ for value in vars(cls).values() if isinstance(value, FunctionType))
    for name in (
        *(code.co_filename for code in methods if cls.__qualname__ in code.co_qualname),
        names.get("__file__"),
        *_cells(),
    ):
        if name and name not in seen:
            seen.add(name)
            yield name


def _cells() -> list[str]:
    """What `linecache` was given that is no file: cells, the last one first."""
    return [name for name in reversed(list(linecache.cache)) if not os.path.exists(name)]
