"""The source files that a function's code comes from.

Those of installed packages are ignored, as they do not change while a pool is open.
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
    """Return the source files of a function, and of the objects that its code refers to.

    The file of a function that is sent by value does not count, as its current code is sent.
    """
    paths = {_path_of(value) for value in _referred(function, by_value=by_value)}
    return tuple(path for path in paths if path)


def _referred(value: Any, *, by_value: bool) -> Iterator[Any]:
    """Yield a function, what it is bound to, and the values of the globals and cells it uses."""
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
        yield sys.modules.get(value.__globals__.get("__name__", ""))  # may be a decorator's module
    names = {name for code in codes_in(value.__code__) for name in code.co_names}
    yield from (value.__globals__[name] for name in names if name in value.__globals__)
    yield from map(_content, value.__closure__ or ())


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object, and those nested in it at any depth."""
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
    """Return the source file of a module, or of the module that defines an object."""
    if isinstance(value, ModuleType):
        return path_of_module(value)
    try:
        name = value.__module__
    except Exception:  # it has none, or is a proxy that raises
        return None
    return path_of_module(sys.modules.get(name)) if type(name) is str else None


def path_of_module(module: Any) -> str | None:
    """Return the file of a module, if it is Python source that the user may edit; else None."""
    try:  # not `module.__file__`, which would load lazy modules
        names = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return None
    path = names.get("__file__")
    if names.get("__name__") in _MAIN or type(path) is not str or not path.endswith(".py"):
        return None
    if path.startswith(_STDLIB) or any(folder in path for folder in _INSTALLED):
        return None
    return path
