"""Shared memory for large payloads: one side writes them, the other maps them.

Each worker has an arena for each direction: an anonymous file in memory (memfd), which no crash of
either side can leak. Its owner writes; a place is free again once the other side has unmapped it.
Freed memory is reused, since fresh memory costs four times as much.

Fresh memory is written by `pwrite`, so that a lack of memory is an error, and not a SIGBUS that
kills the process. Reused memory is allocated already, and is written through a mapping, which is
twice as fast.

The file never shrinks, and is sealed against it, since a reader of the part that was cut off would
be killed by SIGBUS. Memory is returned to the system by punching holes.

An arena that was not used for a while is put to rest: all its free memory is returned, and what
becomes free later is returned at once. The next payload ends the rest.
"""

from __future__ import annotations

import mmap
import os
from _weakref import ref
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Buffer = bytes | bytearray | memoryview

ALIGN = 64
"""The alignment of every part, in bytes, which NumPy prefers."""
PAGE = mmap.PAGESIZE
KEEP_FREE = 256 * 1024 * 1024
"""The most free bytes at the end of an arena that are kept for the next payload. Also the most of
its beginning that is mapped for writing."""
MAPPED = 128
"""The most places that are mapped at a time, as each uses a descriptor; others are copied."""
_WRITE_LIMIT = 1 << 30


class Side:
    """The base of both sides of an arena, which records whether it is at rest (unused)."""

    def __init__(self) -> None:
        self.resting = True
        """True if it was not used since its creation, or since it was put to rest."""
        self.used_at = 0.0
        """The monotonic time of the last use."""
        self.on_use: Callable[[], None] = _nothing
        """Called when a use ends the rest; perhaps in a finalizer, so it must take no lock."""

    def rest(self) -> None:
        """Put it to rest."""
        self.resting = True

    def note_use(self) -> None:
        """Note that memory is used, or that it became free on the other side during the rest."""
        self.used_at = monotonic()
        if self.resting:
            self.resting = False
            self.on_use()


class Arena(Side):
    """The writing side of an arena."""

    def __init__(self, fd: int, base: int) -> None:
        super().__init__()
        self._fd = fd
        self._base = base
        self._end = self._size = base
        self._free: list[tuple[int, int]] = []
        self._holes: list[tuple[int, int]] = []
        """Free places whose memory was returned to the system."""
        self._mapping: mmap.mmap | None = None

    def place(self, parts: Sequence[Buffer]) -> tuple[int, int]:
        """Write parts one after another; return their place as (offset, size).

        Raises:
            OSError: there is no memory left.
        """
        self.note_use()
        joined = join(parts)
        total = sum(memoryview(part).nbytes for part in joined)
        offset, used_before = self._find(total)
        try:
            if not (used_before and self._copy(offset, total, joined)):
                self._write(offset, joined)
        except OSError:
            self.free(offset, total)
            raise
        return offset, total

    def free(self, offset: int, size: int) -> None:
        """Mark a place as free again."""
        self._free = merged = _merged([*self._free, (offset, _pages(size))])
        begin, length = merged[-1]
        if self.resting:
            self.rest()
        elif begin + length == self._end and length > KEEP_FREE:
            merged[-1] = begin, KEEP_FREE
            self._end = begin + KEEP_FREE
            _give_back(self._fd, self._end, length - KEEP_FREE)

    def rest(self) -> None:
        """Return all free memory to the system, and also what becomes free before the next use."""
        super().rest()
        self.close()
        for begin, length in self._free:
            _give_back(self._fd, begin, length)
        self._holes = _merged(self._holes + self._free)
        self._free = []
        if self._holes and sum(self._holes[-1]) == self._end:
            self._end = self._holes.pop()[0]

    def close(self) -> None:
        """Release the mapping; nothing is written afterwards."""
        if self._mapping is not None:
            self._mapping.close()
            self._mapping = None

    def _find(self, size: int) -> tuple[int, bool]:
        """Return the offset of a free place, and whether its memory is allocated already."""
        size = _pages(size)
        for index, (begin, length) in enumerate(self._free):
            if length >= size:
                rest = [(begin + size, length - size)] if length > size else []
                self._free[index : index + 1] = rest
                return begin, True
        for index, (begin, length) in enumerate(self._holes):
            if length >= size:
                rest = [(begin + size, length - size)] if length > size else []
                self._holes[index : index + 1] = rest
                return begin, False
        grows = bool(self._free) and sum(self._free[-1]) == self._end
        begin = self._free[-1][0] if grows else self._end
        if begin + size > self._size:
            os.ftruncate(self._fd, begin + size)
            self._size = begin + size
        self._end = begin + size
        if grows:
            self._free.pop()
        return begin, False

    def _copy(self, offset: int, size: int, parts: Sequence[Buffer]) -> bool:
        """Write through a mapping of allocated memory; return False if it cannot be mapped."""
        end = offset + size
        if self._mapping is None or len(self._mapping) < end:
            try:
                self._mapping = mmap.mmap(self._fd, min(self._end, self._base + KEEP_FREE))
            except OSError:  # no descriptor or no address space is left
                return False
            if len(self._mapping) < end:
                return False
        with memoryview(self._mapping) as memory:
            for part in parts:
                view = memoryview(part).cast("B")
                memory[offset : offset + len(view)] = view
                offset += len(view)
        return True

    def _write(self, offset: int, parts: Sequence[Buffer]) -> None:
        for part in parts:
            view = memoryview(part).cast("B")
            while view:
                written = os.pwrite(self._fd, view[:_WRITE_LIMIT], offset)
                view = view[written:]
                offset += written


def _give_back(fd: int, begin: int, size: int) -> None:
    """Return the memory of a part of the file to the system."""
    try:
        with mmap.mmap(fd, size, offset=begin) as memory:
            memory.madvise(mmap.MADV_REMOVE)
    except OSError:
        pass  # no descriptor or address space is left, so the memory is kept for now


class Reader(Side):
    """The reading side of an arena, which maps places and notes when they are unmapped."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self.freed: list[tuple[int, int]] = []
        """The places that were unmapped, to be reported to the writing side."""

    def read(self, offset: int, size: int) -> list[memoryview]:
        """Return the parts of a place, as views that keep it mapped, or as copies.

        They are copies if `MAPPED` places are mapped already, or no descriptor is left.
        """
        self.note_use()
        if len(_mapped) >= MAPPED:
            return self._copy(offset, size)
        try:
            mapping = mmap.mmap(self._fd, size, offset=offset)
        except OSError:  # no descriptor is left
            return self._copy(offset, size)
        _mapped[ref(mapping, _unmapped)] = self, (offset, size)
        return split(memoryview(mapping))

    def _copy(self, offset: int, size: int) -> list[memoryview]:
        copy = memoryview(bytearray(size))
        done = 0
        while done < size:
            read = os.preadv(self._fd, [copy[done : done + _WRITE_LIMIT]], offset + done)
            if not read:
                raise EOFError("a place in shared memory was cut off")
            done += read
        self.freed.append((offset, size))
        return split(copy)


_mapped: dict[ref[mmap.mmap], tuple[Reader, tuple[int, int]]] = {}


def _unmapped(gone: ref[mmap.mmap]) -> None:
    reader, place = _mapped.pop(gone)
    reader.freed.append(place)
    if reader.resting:
        reader.note_use()


def _merged(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the places in order, with adjacent ones merged."""
    merged: list[tuple[int, int]] = []
    for begin, length in sorted(places):
        if merged and sum(merged[-1]) == begin:
            merged[-1] = merged[-1][0], merged[-1][1] + length
        else:
            merged.append((begin, length))
    return merged


def _nothing() -> None:
    """Nobody wants to know."""


def join(parts: Sequence[Buffer]) -> list[Buffer]:
    """Return the parts preceded by a table of their sizes, with padding to multiples of `ALIGN`."""
    sizes = [memoryview(part).nbytes for part in parts]
    table = b"".join(number.to_bytes(8, "little") for number in (len(sizes), *sizes))
    joined: list[Buffer] = []
    for part in (table, *parts):
        joined.append(part)
        joined.append(bytes(-memoryview(part).nbytes % ALIGN))
    return joined


def split(view: memoryview) -> list[memoryview]:
    """Return the parts that `join` has joined, as views."""
    count = int.from_bytes(view[:8], "little")
    sizes = view[8 : 8 + 8 * count].cast("Q").tolist()
    parts = []
    begin = _align(8 + 8 * count)
    for length in sizes:
        parts.append(view[begin : begin + length])
        begin = _align(begin + length)
    return parts


def _align(number: int) -> int:
    return -(-number // ALIGN) * ALIGN


def _pages(number: int) -> int:
    return -(-number // PAGE) * PAGE
