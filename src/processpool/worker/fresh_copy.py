"""A wrapper that calls a fresh copy of a callable each time, so that items share no state.

The standard library's executors send the callable with each item. Here it is sent once, and copied
for each call, except for the classes, functions and modules in it.
"""

from __future__ import annotations

from _pickle import Pickler, Unpickler
from functools import _lru_cache_wrapper, partial
from io import BytesIO
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, NoneType

from processpool.wire.python.layout import LARGE
from processpool.wire.python.pickling import PROTOCOL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SHARED = (type, FunctionType, ModuleType, _lru_cache_wrapper)


class FreshCopies:
    """Calls a copy of a callable; or the callable itself, if it is large or cannot be copied."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function
        self.__qualname__ = getattr(function, "__qualname__", type(function).__qualname__)
        self._copy: Callable[[], Callable[..., Any]] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return FreshCopies, (self.__wrapped__,)

    def __call__(self, /, *args: Any, **keywords: Any) -> Any:
        """Call a fresh copy."""
        if self._copy is None:
            self._copy = _copier(self.__wrapped__)
        return self._copy()(*args, **keywords)


def with_fresh_copies(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the callable, wrapped in `FreshCopies` if it has state that a call could change."""
    if type(function) is BuiltinFunctionType:  # includes bound methods of objects written in C
        has_state = not isinstance(function.__self__, (ModuleType, type, NoneType))
    elif isinstance(function, MethodType):
        has_state = not isinstance(function.__self__, type)
    else:
        call = getattr(type(function), "__call__", None)  # noqa: B004
        has_state = isinstance(function, partial) or isinstance(call, FunctionType)
    return FreshCopies(function) if has_state else function


def _copier(function: Callable[..., Any]) -> Callable[[], Callable[..., Any]]:
    """Return a function that returns copies of a callable."""
    kept: list[Any] = []
    buffers: list[memoryview] = []
    stream = BytesIO()

    def keep_in_stream(buffer: Any) -> bool:
        view = buffer.raw()
        if view.readonly:
            buffers.append(view)
        elif view.nbytes >= LARGE:
            raise ValueError("too large to be copied for each call")
        return not view.readonly

    writer = _Writer(stream, PROTOCOL, buffer_callback=keep_in_stream)
    writer.kept = kept
    try:
        writer.dump(function)
    except Exception:
        return lambda: function
    written = stream.getvalue()
    if len(written) >= LARGE:
        return lambda: function

    def copy() -> Callable[..., Any]:
        reader = _Reader(BytesIO(written), buffers=buffers)
        reader.kept = kept
        found: Callable[..., Any] = reader.load()
        return found

    return copy


class _Writer(Pickler):
    kept: list[Any]
    """The objects that the copies share, by number."""

    def persistent_id(self, obj: Any) -> int | None:
        if not isinstance(obj, _SHARED):
            return None
        self.kept.append(obj)
        return len(self.kept) - 1


class _Reader(Unpickler):
    kept: list[Any]

    def persistent_load(self, pid: int) -> Any:
        return self.kept[pid]
