"""Pickling by value: cloudpickle, and what it cannot do by itself.

Functions with a cache, and functions that dispatch on a type, are rebuilt from the functions that
they consist of if they cannot be imported; the cache itself does not travel.
"""

from __future__ import annotations

import sys
from functools import (
    _lru_cache_wrapper,
    cached_property,
    lru_cache,
    singledispatch,
    singledispatchmethod,
)
from types import CodeType

import cloudpickle
from cloudpickle.cloudpickle import (
    _BUILTIN_TYPE_NAMES as _BUILTIN,
)
from cloudpickle.cloudpickle import (
    _is_registered_pickle_by_value,
    _lookup_module_and_qualname,
    _should_pickle_by_reference,
)

from processpool.wire.python import classes, declarations
from processpool.wire.python.main_source import keep_source, source_to_send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType
    from typing import Any

_DISPATCHER = singledispatch(len).__code__  # type: ignore[attr-defined]
"""The code of every function that `singledispatch` makes."""

if "__mp_main__" in sys.modules:  # a child of multiprocessing has its main module by this name
    cloudpickle.register_pickle_by_value(sys.modules["__mp_main__"])


def _reduce_cached(function: Any) -> Any:
    """The reduction of what `functools.cache` and `lru_cache` make."""
    if is_imported(function):
        return function.__reduce__()
    names = {name: value for name, value in vars(function).items() if name != "cache_parameters"}
    return make_cached, (function.__wrapped__, function.cache_parameters()), names


def _reduce_cached_property(found: Any) -> Any:
    """The reduction of a `cached_property`, which has a lock before Python 3.12."""
    return cached_property, (found.func,), {"attrname": found.attrname}


def _reduce_dispatching_method(found: Any) -> Any:
    """The reduction of a `singledispatchmethod`, which has a cache since Python 3.13."""
    return singledispatchmethod, (found.func,), {"dispatcher": found.dispatcher}


def is_imported(value: Any) -> bool:
    """True of a function that is found under its name in a worker."""
    found = _lookup_module_and_qualname(value)
    return found is not None and not _is_registered_pickle_by_value(found[0])


def travels_by_name(kind: type) -> bool:
    """True of a class that is found under its name in a worker, or that each process has."""
    return bool(_should_pickle_by_reference(kind)) or kind in _BUILTIN


def _reduce_code(code: CodeType) -> Any:
    """The reduction of code, which keeps the name of its file: tracebacks quote lines of it.

    They are sent with it, where that is a cell of a notebook, or else no file.
    """
    make, arguments = cloudpickle.Pickler.dispatch_table[CodeType](code)
    return make_code, ("".join(code.co_filename), source_to_send(code), make, *arguments)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's, for all that functions and classes of `__main__` are made of."""

    searching = False
    """True if it is to find out which classes have to be declared again."""
    fill_class = staticmethod(classes.fill_class)
    fill_declared = staticmethod(declarations.fill_declared)

    dispatch_table = cloudpickle.Pickler.dispatch_table.new_child(
        {
            _lru_cache_wrapper: _reduce_cached,
            cached_property: _reduce_cached_property,
            singledispatchmethod: _reduce_dispatching_method,
            CodeType: _reduce_code,
        }
    )

    def reducer_override(self, obj: Any) -> Any:
        """Have classes that cannot be imported made from their attributes, or declared again."""
        if not isinstance(obj, type) or travels_by_name(obj):
            return super().reducer_override(obj)
        if self.searching:
            declarations.note_unpicklable(obj)
        declared = declarations.reduce_declared(obj, self.fill_declared)
        return declared or classes.reduce_class(obj, self.fill_class)

    def _dynamic_function_reduce(self, func: FunctionType) -> Any:
        if func.__code__ is not _DISPATCHER:
            return super()._dynamic_function_reduce(func)
        wrapped, registry = func.__wrapped__, dict(func.registry)  # type: ignore[attr-defined]
        return singledispatch, (wrapped,), registry, None, None, fill_registry


def make_code(
    file: str, source: str | None, make: Callable[..., CodeType], *arguments: Any
) -> CodeType:
    """Code that comes from this file; or from the source, if that is no file."""
    if source is not None:
        keep_source(file, source)
    return make(*arguments).replace(co_filename=file)


def make_cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """The function with a cache of its own, empty."""
    return lru_cache(**parameters)(function)


def fill_registry(dispatcher: Any, registry: dict[type, Callable[..., Any]]) -> None:
    """Give a dispatching function what it had been given."""
    for kind, function in registry.items():
        dispatcher.register(kind, function)
