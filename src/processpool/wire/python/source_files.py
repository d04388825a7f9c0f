"""The source files that functions come from, as known to the process that runs them.

Installed packages are ignored: nobody edits them while a pool is open.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_STDLIB = os.path.dirname(os.__file__) + os.sep
_INSTALLED = ("/site-packages/", "/dist-packages/")
_MAIN = ("__main__", "__mp_main__")


def sources_of(function: Callable[..., Any], *, by_value: bool) -> tuple[str, ...]:
    """The files whose code a function runs, as far as it names them.

    One that travels by value is itself always sent as it is now, so only what it refers to counts.
    """
    paths = {_path_of(value) for value in _referred(function, by_value=by_value)}
    return tuple(path for path in paths if path)


def _referred(value: Any, *, by_value: bool) -> Iterator[Any]:
    """A function, what it was bound to, and the values of the names and cells in its code."""
    while type(value) is not FunctionType:
        if isinstance(value, MethodType):
            yield value.__self__
            value = value.__func__
        elif isinstance(value, partial):
            yield from (*value.args, *value.keywords.values())
            value = value.func
        else:
            yield value
            if "__wrapped__" not in getattr(value, "__dict__", ()):
                return
            value = value.__wrapped__
    if not by_value:
        yield value
        yield sys.modules.get(value.__globals__.get("__name__", ""))  # perhaps a decorator's
    names = {name for code in codes_in(value.__code__) for name in code.co_names}
    yield from (value.__globals__[name] for name in names if name in value.__globals__)
    yield from map(_content, value.__closure__ or ())


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """A code object, and those of the functions that are defined in it, however deep."""
    yield code
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from codes_in(constant)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty yet
        return None


def _path_of(value: Any) -> str | None:
    """The file of a module, or of the module that something was defined in."""
    if isinstance(value, ModuleType):
        return path_of_module(value)
    try:
        name = value.__module__
    except Exception:  # it has none; or it stands for something that is not there now
        return None
    return path_of_module(sys.modules.get(name)) if type(name) is str else None


def path_of_module(module: Any) -> str | None:
    """The file of a module that somebody may edit, if it is one."""
    try:  # not by `module.__file__`, which would have lazy ones loaded
        names = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return None
    path = names.get("__file__")
    if names.get("__name__") in _MAIN or type(path) is not str or not path.endswith(".py"):
        return None
    if path.startswith(_STDLIB) or any(folder in path for folder in _INSTALLED):
        return None
    return path
