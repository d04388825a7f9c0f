"""Pickling between a pool and its Python workers: by the C pickler, or by cloudpickle.

`_pickle` takes 3 ms less to import than `pickle`. What it cannot pickle, or would pickle by a name
in `__main__` that the other side does not have, is pickled by value with cloudpickle.
"""

from __future__ import annotations

from _pickle import PickleError, dumps, loads
from io import BytesIO

from processpool.wire.python import unfindable
from processpool.wire.python.layout import LARGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PROTOCOL = 5
MAIN = b"_main__"
"""The bytes in the pickle of anything defined in `__main__`, or in `__mp_main__`, its name in
children of multiprocessing."""
WHOLE = 1 << 62
"""A value of `large` that no buffer reaches, so that everything stays in the stream."""

__all__ = ["PickleError", "dumps", "loads", "pack", "pack_answer", "pack_by_value", "pack_whole"]


def pack(
    value: Any,
    by_value: Callable[[Any, int], list[Any]] | None = None,
    large: int = LARGE,
) -> list[Any]:
    """Pickle a value; return the stream, followed by its out-of-band buffers, which are not copied.

    Args:
        value: the value.
        by_value: pickles what cannot be pickled by name; by default `pack_by_value`.
        large: the size, in bytes, from which a buffer is kept out of the stream.

    Raises:
        Exception: the value cannot be pickled.
    """
    buffers: list[memoryview] = []
    try:
        stream = dumps(value, PROTOCOL, buffer_callback=collector(buffers, large))
    except RecursionError:
        raise
    except Exception:
        return (by_value or pack_by_value)(value, large)
    if MAIN in stream or (unfindable.names and any(name in stream for name in unfindable.names)):
        return (by_value or pack_by_value)(value, large)
    return [stream, *buffers]


def pack_by_value(value: Any, large: int = LARGE) -> list[Any]:
    """Like `pack`, by cloudpickle: for lambdas, closures, and what is defined in `__main__`."""
    from processpool.wire.python.by_value import Pickler

    return pack_with(Pickler, value, large)


def pack_whole(value: Any) -> bytes:
    """Like `pack`, but everything in one stream."""
    whole: bytes = pack(value, large=WHOLE)[0]
    return whole


def pack_answer(value: Any, large: int = LARGE) -> list[Any]:
    """Like `pack`, for answers to the pool."""
    return pack(value, _pack_home, large)


def _pack_home(value: Any, large: int) -> list[Any]:
    from processpool.wire.python.reply_pickler import HomePickler

    return pack_with(HomePickler, value, large)


def pack_with(pickler: Callable[..., Any], value: Any, large: int) -> list[Any]:
    """Like `pack`, by a pickler of this class.

    If that fails, a second attempt looks for classes that must be pickled by their source.
    """
    try:
        return _pack_with(pickler, value, large, searching=False)
    except RecursionError:
        raise
    except Exception:
        return _pack_with(pickler, value, large, searching=True)


def _pack_with(
    pickler: Callable[..., Any], value: Any, large: int, *, searching: bool
) -> list[Any]:
    buffers: list[memoryview] = []
    stream = BytesIO()
    writer = pickler(stream, PROTOCOL, buffer_callback=collector(buffers, large))
    writer.searching = searching
    writer.dump(value)
    return [stream.getvalue(), *buffers]


def collector(buffers: list[memoryview], large: int) -> Callable[[Any], bool]:
    """Return a `buffer_callback` that appends large buffers to `buffers`, out of the stream."""

    def keep_in_stream(buffer: Any) -> bool:
        view = buffer.raw()
        if view.nbytes < large:
            return True
        buffers.append(view)
        return False

    return keep_in_stream
