"""The large arrays among the arguments of tasks: they go to shared memory, once for each call."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from processpool import ProcessPool, Shared

_PLAIN = frozenset({int, float, str, bytes, bool, type(None)})
"""Types of arguments that are no arrays, and contain none."""
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def nbytes_of(size: int | str | None) -> int | None:
    """Return the bytes that joblib's `max_nbytes` means, such as "1M"; None for no limit."""
    if size is None or isinstance(size, int):
        return size
    return int(float(size[:-1]) * _UNITS[size[-1].upper()])


class SharedArrays:
    """The arrays of one call of `Parallel` that are in shared memory."""

    def __init__(self, pool: ProcessPool, most: int | None) -> None:
        """Share arrays of more than `most` bytes; none if it is None."""
        self._pool = pool
        self._most = most
        self._shared: dict[int, tuple[ref[Any], Shared]] = {}
        """Each with its array, which it does not keep alive, by that one's `id`."""

    def replace(self, batch: Any) -> list[Shared]:
        """Put handles into the place of a batch's large arrays; return them, to be kept."""
        kept: list[Shared] = []
        items = batch.items
        for index, (function, args, kwargs) in enumerate(items):
            if _PLAIN.issuperset(map(type, args)) and not kwargs:
                continue
            sent = tuple([self._handle(value, kept) for value in args])
            named = {name: self._handle(value, kept) for name, value in kwargs.items()}
            items[index] = function, sent, named
        return kept

    def clear(self) -> None:
        """Forget them all; the memory is free once no task has a handle any more."""
        self._shared.clear()

    def _handle(self, value: Any, kept: list[Shared]) -> Any:
        """Return what is sent for an argument, which may be a list or a tuple of arrays."""
        if type(value) in (list, tuple) and len(value) <= 100:
            return type(value)(self._handle(one, kept) for one in value)
        mapped = _mapped(value)
        if mapped is not None:
            return mapped
        if self._most is None or _size_of(value) <= self._most:
            return value
        shared = self._share(value)
        kept.append(shared)
        return shared

    def _share(self, value: Any) -> Shared:
        found = self._shared.get(id(value))
        if found is not None and found[0]() is value:
            return found[1]
        shared = self._pool.share(value)
        number = id(value)
        self._shared[number] = ref(value, lambda _: self._shared.pop(number, None)), shared
        return shared


def _size_of(value: Any) -> int:
    """Return the bytes of a plain array; 0 for anything else."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) not in (numpy.ndarray, numpy.memmap) or value.dtype.hasobject:
        return 0
    return int(value.nbytes)


def _mapped(value: Any) -> MappedFile | None:
    """Return what opens an array's file in the worker, if the array is the map of one."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray) or value.dtype.hasobject:
        return None
    base = value
    while isinstance(base, numpy.ndarray) and not isinstance(base.base, _mmap_type()):
        base = base.base
    if not isinstance(base, numpy.memmap) or base.filename is None or not value.flags.forc:
        return None
    offset = value.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    order = "C" if value.flags.c_contiguous else "F"
    mode = "r+" if base.mode == "w+" else base.mode
    return MappedFile(base.filename, value.dtype, mode, base.offset + offset, value.shape, order)


def _mmap_type() -> type:
    from mmap import mmap

    return mmap


class MappedFile:
    """A file that is mapped as an array, where it arrives: writes to it are seen everywhere."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        import numpy

        return numpy.memmap, self._arguments
