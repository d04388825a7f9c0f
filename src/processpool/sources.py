"""The files that functions come from: were they edited since the workers have read them?"""

from __future__ import annotations

import os
import sys
import sysconfig
from contextlib import suppress
from functools import partial
from importlib.util import cache_from_source
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Mark = tuple[int, int]
"""When a file was written (ns), and its size."""

_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
"""Nobody edits what lies here."""


class Sources:
    """The source files of one pool's functions, as its workers know them."""

    def __init__(self) -> None:
        self._known: dict[str, Mark] = {}
        self.told: list[str] = []
        """Files that workers read at their start."""

    def read_at(self, path: str, mark: Mark) -> None:
        """A worker has read this file when it was so; that counts if it is the first to say so."""
        self._known.setdefault(path, mark)
        if path not in self.told and not path.startswith(_INSTALLED):
            self.told = [*self.told, path]

    def changed(self, paths: Iterable[str]) -> bool:
        """True if one of these files was edited since this was last asked."""
        changed = False
        for path in paths:
            try:
                found = os.stat(path)
            except OSError:  # it is being written, or gone: what was read still holds
                continue
            mark = found.st_mtime_ns, found.st_size
            if self._known.setdefault(path, mark) != mark:
                self._known[path] = mark
                _forget_bytecode(path)
                changed = True
        return changed


def sources_of(function: Callable[..., Any], *, by_value: bool) -> tuple[str, ...]:
    """The files whose code a function runs, as far as it names them.

    One that travels by value is itself always sent as it is now, so only what it refers to counts.
    """
    while isinstance(function, (MethodType, partial)):
        function = function.func if isinstance(function, partial) else function.__func__
    found = _referred(function) if by_value and type(function) is FunctionType else [function]
    paths = {_path_of(value) for value in found}
    return tuple(path for path in paths if path and not path.startswith(_INSTALLED))


def _referred(function: FunctionType) -> list[Any]:
    """The values of the global names in a function's code."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    return [function.__globals__[name] for name in names if name in function.__globals__]


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from _codes(constant)


def _path_of(value: Any) -> str | None:
    """The file of a module, or of the module that something was defined in."""
    if type(value) is not ModuleType:
        name = getattr(value, "__module__", None)
        if not isinstance(name, str) or name == "__main__":
            return None
        value = sys.modules.get(name)
    path = getattr(value, "__file__", None)
    return path if isinstance(path, str) and path.endswith(".py") else None


def _forget_bytecode(path: str) -> None:
    """Python takes compiled code to be up to date if second and size of its source are the same."""
    with suppress(OSError, NotImplementedError):
        os.unlink(cache_from_source(path))
