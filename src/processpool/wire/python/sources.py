"""Detection of source files that were edited after the workers have read them."""

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
"""A file's modification time in nanoseconds, and its size."""

__all__ = ["Mark", "Sources", "sources_of"]


class Sources:
    """The source files of a pool's functions, in the versions that its workers have read."""

    def __init__(self) -> None:
        self._known: dict[str, Mark] = {}
        self._imported: set[str] = set()
        """The modules of this process whose files were recorded."""
        self.named: list[str] = []
        """The files that workers read at their start and that the configuration names."""

    def read_at(self, path: str, mark: Mark, *, named: bool = True) -> None:
        """Record the version of a file that a worker has read, unless one is recorded already.

        Args:
            path: the file.
            mark: its version.
            named: whether the configuration names it, or the worker only came across it.
        """
        self._known.setdefault(path, mark)
        if named and path not in self.named:
            self.named = [*self.named, path]

    def look_around(self) -> None:
        """Record the current versions of the files of newly imported modules.

        A worker that imports one of them later reads the same version.
        """
        imported = set(sys.modules)
        for name in imported - self._imported:
            path = path_of_module(sys.modules.get(name))
            if path is not None and path not in self._known:
                with suppress(OSError):
                    self._known[path] = _mark(path)
        self._imported = imported

    def changed(self, paths: Iterable[str]) -> bool:
        """Return whether one of these files was edited since its version was recorded."""
        changed = False
        for path in paths:
            try:
                mark = _mark(path)
            except OSError as error:  # it is being replaced, or deleted: keep what was read
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
    """Delete a file's bytecode, which Python would use if the source's second and size match."""
    with suppress(OSError, NotImplementedError):
        os.unlink(cache_from_source(path))
