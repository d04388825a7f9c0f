"""Whether the files that functions come from were edited since the workers read them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.util import cache_from_source
from typing import TYPE_CHECKING

from processpool.system.interrupts import is_raised_by_a_handler
from processpool.wire.python.source_files import path_of_module, sources_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Mark = tuple[int, int]
"""When a file was written (ns), and its size."""

__all__ = ["Mark", "Sources", "sources_of"]


class Sources:
    """The source files of one pool's functions, as its workers know them."""

    def __init__(self) -> None:
        self._known: dict[str, Mark] = {}
        self._imported: set[str] = set()
        """Modules of this process whose files were looked at."""
        self.told: list[str] = []
        """Files that workers read at their start and that they were told to use."""

    def read_at(self, path: str, mark: Mark, *, named: bool = True) -> None:
        """A worker has read this file when it was so; that counts if it is the first to say so.

        Args:
            path: the file.
            mark: how it was.
            named: whether the worker was told to use it, or has come upon it.
        """
        self._known.setdefault(path, mark)
        if named and path not in self.told:
            self.told = [*self.told, path]

    def look_around(self) -> None:
        """A worker that imports what is imported here will import the same on the way."""
        imported = set(sys.modules)
        for name in imported - self._imported:
            path = path_of_module(sys.modules.get(name))
            if path is not None and path not in self._known:
                with suppress(OSError):
                    self._known[path] = _mark(path)
        self._imported = imported

    def changed(self, paths: Iterable[str]) -> bool:
        """True if one of these files was edited since this was last asked."""
        changed = False
        for path in paths:
            try:
                mark = _mark(path)
            except OSError as error:  # it is being written, or gone: what was read still holds
                if is_raised_by_a_handler(error):
                    raise
                continue
            if self._known.setdefault(path, mark) != mark:
                self._known[path] = mark
                _forget_bytecode(path)
                changed = True
        return changed


def _mark(path: str) -> Mark:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size


def _forget_bytecode(path: str) -> None:
    """Python takes compiled code to be up to date if second and size of its source are the same."""
    with suppress(OSError, NotImplementedError):
        os.unlink(cache_from_source(path))
