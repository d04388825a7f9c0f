"""Pickling by value: cloudpickle, and what it cannot do by itself.

Functions with a cache and functions that dispatch on a type are made anew from the functions that
they consist of, if they cannot be imported; the cache itself does not travel.
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

import cloudpickle
from cloudpickle.cloudpickle import _is_registered_pickle_by_value, _lookup_module_and_qualname

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
    if _is_imported(function):
        return function.__reduce__()
    names = {name: value for name, value in vars(function).items() if name != "cache_parameters"}
    return make_cached, (function.__wrapped__, function.cache_parameters()), names


def _reduce_cached_property(found: Any) -> Any:
    """The reduction of a `cached_property`, which has a lock before Python 3.12."""
    return cached_property, (found.func,), {"attrname": found.attrname}


def _reduce_dispatching_method(found: Any) -> Any:
    """The reduction of a `singledispatchmethod`, which has a cache since Python 3.13."""
    return singledispatchmethod, (found.func,), {"dispatcher": found.dispatcher}


def _is_imported(value: Any) -> bool:
    found = _lookup_module_and_qualname(value)
    return found is not None and not _is_registered_pickle_by_value(found[0])


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's, for all that functions and classes of `__main__` are made of."""

    dispatch_table = cloudpickle.Pickler.dispatch_table.new_child(
        {
            _lru_cache_wrapper: _reduce_cached,
            cached_property: _reduce_cached_property,
            singledispatchmethod: _reduce_dispatching_method,
        }
    )

    def _dynamic_function_reduce(self, func: FunctionType) -> Any:
        if func.__code__ is not _DISPATCHER:
            return super()._dynamic_function_reduce(func)
        wrapped, registry = func.__wrapped__, dict(func.registry)  # type: ignore[attr-defined]
        return singledispatch, (wrapped,), registry, None, None, fill_registry


def make_cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """The function with a cache of its own, empty."""
    return lru_cache(**parameters)(function)


def fill_registry(dispatcher: Any, registry: dict[type, Callable[..., Any]]) -> None:
    """Give a dispatching function what it had been given."""
    for kind, function in registry.items():
        dispatcher.register(kind, function)
