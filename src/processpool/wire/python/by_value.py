"""Pickling by value: cloudpickle, and what it cannot do by itself.

Functions with a cache, and functions that dispatch on a type, are rebuilt from the functions that
they consist of if they cannot be imported; the cache itself does not travel.
"""

from __future__ import annotations

import _pickle
import sys
from functools import (
    _lru_cache_wrapper,
    cached_property,
    lru_cache,
    singledispatch,
    singledispatchmethod,
)
from io import BytesIO
from pickle import PicklingError
from types import CodeType, FunctionType

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
from processpool.wire.python.arguments import shared_class
from processpool.wire.python.layout import LARGE
from processpool.wire.python.main_source import keep_source, source_to_send
from processpool.wire.python.pickling import PROTOCOL, WHOLE, collector, pack_by_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
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
        if not isinstance(obj, type) or _should_pickle_by_reference(obj) or obj in _BUILTIN:
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


class ClassTable:
    """Classes that many items refer to by number: they travel once for all of these."""

    def __init__(self) -> None:
        self.stream = b""
        """The pickle of all the classes, once it is made."""
        self._classes: list[type] = []
        self._reduced: dict[type, Any] = {}

    def pack_item(self, item: Any) -> list[Any]:
        """Pickle an item, but not the classes in it that cannot be imported; as `pack` does.

        Raises:
            Exception: it cannot be pickled.
        """
        try:
            return self._pack_item(_QuickItemPickler, item)
        except Exception:  # there is more in it that cannot be imported
            return self._pack_item(_ItemPickler, item)

    def _pack_item(self, pickler: Callable[..., Any], item: Any) -> list[Any]:
        buffers: list[Any] = []
        stream = BytesIO()
        writer = pickler(stream, PROTOCOL, buffer_callback=collector(buffers, LARGE))
        writer.table = self
        writer.dump(item)
        return [stream.getvalue(), *buffers]

    def reduce(self, kind: type) -> Any:
        """The reduction of a class to its number; None if it can be imported."""
        reduced = self._reduced.get(kind, self)
        if reduced is self:
            reduced = None
            if not _should_pickle_by_reference(kind) and kind not in _BUILTIN:
                reduced = shared_class, (len(self._classes),)
                self._classes.append(kind)
            self._reduced[kind] = reduced
        return reduced

    def pack(self) -> None:
        """Pickle the classes.

        Raises:
            Exception: one of them cannot be pickled.
        """
        self.stream = pack_by_value(self._classes, WHOLE)[0]


class _ItemPickler(Pickler):
    """Puts numbers in the place of classes that cannot be imported."""

    table: ClassTable

    def reducer_override(self, obj: Any) -> Any:
        reduced = self.table.reduce(obj) if isinstance(obj, type) else None
        return reduced or super().reducer_override(obj)


class _QuickItemPickler(_pickle.Pickler):
    """Like it, for items in which classes are all that cannot be imported."""

    table: ClassTable

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type):
            return self.table.reduce(obj) or NotImplemented
        if type(obj) is FunctionType and obj is not shared_class and not _is_imported(obj):
            raise PicklingError("a function by value")
        return NotImplemented


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
