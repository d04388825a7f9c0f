"""`pool.share`: an object in shared memory that all workers read, without a copy for each item.

It is in an anonymous file in memory (memfd), sealed against writing. Each worker opens that through
/proc and maps it once. The kernel frees it with the last descriptor and mapping, so no crash of
either side can leak it.
"""

from __future__ import annotations

import array
import mmap
import os
import secrets
import sys
import weakref
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from processpool.system.interrupts import PICKLING, uninterrupted
from processpool.wire.python import pickling
from processpool.wire.python.arena import Arena
from processpool.worker.shared_objects import attach, read, restore_view

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

if TYPE_CHECKING:
    _Anything = Any  # it arrives as the object itself, so it may be passed wherever that may
else:
    _Anything = object

_PLAIN = (bytes, bytearray, memoryview, array.array, mmap.mmap)
"""The types that workers receive as a `memoryview`."""
_FORMATS = frozenset("cbB?hHiIlLqQnNfd")


class Shared(_Anything):  # type: ignore[misc]
    """A handle to an object in shared memory, made by `pool.share`.

    Passed to an item, as an argument or in a closure, it arrives as the object itself, read-only: a
    NumPy array as an array, bytes and other buffers as a `memoryview`, a DataFrame as a DataFrame.
    Keep the handle until the results are there: leaving its `with`, calling `close`, closing the
    pool, or losing the last reference frees the memory.
    """

    def __init__(self, value: Any, on_free: Callable[[str], None]) -> None:
        """Copy `value` to shared memory; `on_free` is called with the name when that is freed.

        Raises:
            OSError: the system has no memory or descriptor left.
            Exception: `value` cannot be pickled.
        """
        self._name = f"processpool-share-{secrets.token_hex(8)}"
        parts = _parts_of(value)
        self._fd = os.memfd_create(self._name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            _, self.nbytes = Arena(self._fd, 0).place(parts)
            _seal(self._fd)
        except BaseException:
            os.close(self._fd)
            raise
        self._finalizer = weakref.finalize(self, _free, self._fd, self._name, on_free)
        self._finalizer.atexit = False

    @property
    def closed(self) -> bool:
        """True once the memory was freed."""
        return not self._finalizer.alive

    @property
    def value(self) -> Any:
        """The object as workers receive it.

        Raises:
            ValueError: the memory was freed.
        """
        self._require_open()
        parts = read(os.dup(self._fd), self.nbytes)
        return pickling.loads(parts[0], buffers=parts[1:])

    def close(self) -> None:
        """Free the memory; workers unmap it once no item uses it any more."""
        self._finalizer()

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the object as a NumPy array."""
        import numpy as np

        return np.asarray(self.value, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        self._require_open()
        return attach, (os.getpid(), self._fd, self._name, self.nbytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Shared {self.nbytes} bytes{', freed' if self.closed else ''}>"

    def _require_open(self) -> None:
        if self.closed:
            raise ValueError("this shared object is freed; share it again, or keep it longer")


class _Plain:
    """A buffer that is pickled with its format and shape."""

    def __init__(self, view: memoryview) -> None:
        if not view.c_contiguous:
            view = memoryview(view.tobytes()).cast("B").cast(view.format, view.shape)  # type: ignore[call-overload]
        self._view = view

    def __reduce__(self) -> tuple[Any, ...]:
        view = self._view
        layout = view.format if view.format in _FORMATS else "B"
        shape = view.shape if layout == view.format else (view.nbytes,)
        flat = view.cast("B") if view.nbytes else memoryview(b"")
        return restore_view, (PickleBuffer(flat), layout, shape)


class _Times:
    """A NumPy array of dates or durations, pickled as integers: NumPy itself would copy it."""

    def __init__(self, times: Any) -> None:
        self._times = times

    def __reduce__(self) -> tuple[Any, ...]:
        times = self._times
        return type(times).view, (times.view("i8"), times.dtype)


@uninterrupted
def _seal(fd: int) -> None:
    """Seal a memfd, so that it can no longer be written or resized."""
    import fcntl

    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)


def _parts_of(value: Any) -> list[Any]:
    """Return the pickle of an object, followed by its out-of-band buffers."""
    what = _Plain(memoryview(value)) if type(value) in _PLAIN else _contiguous(value)
    with PICKLING:
        return pickling.pack(what, large=0)


def _contiguous(value: Any) -> Any:
    """Return a NumPy array in a form that pickles out of band: contiguous, dates as integers.

    Objects of subclasses, such as masked arrays, are returned unchanged: they have more state than
    their buffer.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) not in (numpy.ndarray, numpy.memmap):
        return value
    value = numpy.asarray(value)
    if not value.flags.forc:
        value = value.copy()
    return _Times(value) if value.dtype.kind in "mM" else value


def _free(fd: int, name: str, on_free: Callable[[str], None]) -> None:
    os.close(fd)
    on_free(name)
