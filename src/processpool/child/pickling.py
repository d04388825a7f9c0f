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

__all__ = ["PickleError", "dumps", "loads", "pack", "pack_by_value"]


def pack(value: Any) -> list[Any]:
    """Pickle a value: the stream, and then the large buffers in it, which are not copied.

    Raises:
        Exception: whatever the value's own pickling raises.
    """
    buffers: list[memoryview] = []
    try:
        stream = dumps(value, PROTOCOL, buffer_callback=_collector(buffers))
    except RecursionError:
        raise
    except Exception:
        return pack_by_value(value)
    if b"__main__" in stream:
        return pack_by_value(value)
    return [stream, *buffers]


def pack_by_value(value: Any) -> list[Any]:
    """As `pack`, by cloudpickle: for what is defined in `__main__`, and for lambdas and closures."""
    from cloudpickle import dumps as dumps_by_value

    buffers: list[memoryview] = []
    return [dumps_by_value(value, PROTOCOL, buffer_callback=_collector(buffers)), *buffers]


def _collector(buffers: list[memoryview]) -> Callable[[Any], bool]:
    def keep_in_stream(buffer: Any) -> bool:
        view = buffer.raw()
        if view.nbytes < LARGE:
            return True
        buffers.append(view)
        return False

    return keep_in_stream
