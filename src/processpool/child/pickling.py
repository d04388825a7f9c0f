"""Pickling between a pool and its Python workers, fast where it can be.

The C pickler by itself takes 3 ms less to import than the `pickle` module. What it cannot do, or
would do by a name in `__main__` that the other side does not have, cloudpickle does by value.
"""

from __future__ import annotations

from _pickle import PickleError, dumps, loads

from processpool.child.layout import LARGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PROTOCOL = 5

__all__ = ["PickleError", "dumps", "loads", "pack", "pack_answer", "pack_by_value", "pack_whole"]


def pack(value: Any, by_value: Callable[[Any], list[Any]] | None = None) -> list[Any]:
    """Pickle a value: the stream, and then the large buffers in it, which are not copied.

    Raises:
        Exception: whatever the value's own pickling raises.
    """
    buffers: list[memoryview] = []
    try:
        stream = dumps(value, PROTOCOL, buffer_callback=collector(buffers))
    except RecursionError:
        raise
    except Exception:
        return (by_value or pack_by_value)(value)
    if b"__main__" in stream:
        return (by_value or pack_by_value)(value)
    return [stream, *buffers]


def pack_by_value(value: Any) -> list[Any]:
    """As `pack`, by cloudpickle: for what is defined in `__main__`, for lambdas and closures."""
    from cloudpickle import dumps as dumps_by_value

    buffers: list[memoryview] = []
    return [dumps_by_value(value, PROTOCOL, buffer_callback=collector(buffers)), *buffers]


def pack_whole(value: Any, take_out: Callable[[Any], bool] | None = None) -> bytes:
    """As `pack`, everything in one stream, but for the buffers for which `take_out` is false."""
    try:
        stream = dumps(value, PROTOCOL, buffer_callback=take_out)
        by_value = b"__main__" in stream
    except RecursionError:
        raise
    except Exception:
        by_value = True
    if not by_value:
        return stream
    from cloudpickle import dumps as dumps_by_value

    whole: bytes = dumps_by_value(value, PROTOCOL, buffer_callback=take_out)
    return whole


def pack_answer(value: Any) -> list[Any]:
    """As `pack`, for what goes back to the pool."""
    return pack(value, _pack_home)


def _pack_home(value: Any) -> list[Any]:
    from processpool.child.homing import pack_home

    return pack_home(value)


def collector(buffers: list[memoryview]) -> Callable[[Any], bool]:
    """The callback of a pickler that takes large buffers out of its stream."""

    def keep_in_stream(buffer: Any) -> bool:
        view = buffer.raw()
        if view.nbytes < LARGE:
            return True
        buffers.append(view)
        return False

    return keep_in_stream
