"""Objects of `pool.share` in a worker: mapped, not copied.

A handle is unpickled as the object itself, rebuilt for each item around the mapped memory, which is
read-only. The mapping is kept until the pool reports that the object was freed.
"""

from __future__ import annotations

import mmap
import os

from processpool.wire.python.arena import split
from processpool.wire.python.pickling import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_mapped: dict[tuple[int, str], list[memoryview]] = {}


def attach(owner: int, fd: int, name: str, size: int) -> Any:
    """Return the object that the process `owner` shares by its descriptor `fd`.

    Raises:
        ValueError: it was freed.
        PermissionError: this process may not open the descriptors of the other.
    """
    key = owner, name
    parts = _mapped.get(key)
    if parts is None:
        parts = read(_open(owner, fd, name), size)
        if owner != os.getpid():
            _mapped[key] = parts
    return loads(parts[0], buffers=parts[1:])


def release(name: str) -> None:
    """Drop the mapping of an object that was freed; its memory is unmapped once it is unused."""
    for key in [key for key in _mapped if key[1] == name]:
        del _mapped[key]


def restore_view(buffer: Any, layout: str, shape: tuple[int, ...]) -> memoryview:
    """Return a buffer as a memoryview with its original format and shape."""
    view = memoryview(buffer).cast("B")
    return view if layout == "B" and len(shape) == 1 else view.cast(layout, shape)  # type: ignore[call-overload]


def read(fd: int, size: int) -> list[memoryview]:
    """Map the parts in a file, and close its descriptor."""
    try:
        # Private, since older kernels reject shared mappings of files sealed against writing.
        mapping = mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    finally:
        os.close(fd)
    return split(memoryview(mapping))


def _open(owner: int, fd: int, name: str) -> int:
    path = f"/proc/{owner}/fd/{fd}"
    try:
        found = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _freed() from None
    except PermissionError as error:
        raise PermissionError(
            error.errno,
            "this worker may not read what the pool's process shares: they must belong to the "
            "same user, and the pool's process must not be protected",
            path,
        ) from None
    if name not in os.readlink(f"/proc/self/fd/{found}"):
        os.close(found)
        raise _freed()
    return found


def _freed() -> ValueError:
    return ValueError(
        "the shared object was freed before this item could read it: keep what pool.share() "
        "returned, and its `with` block open, until the results are there"
    )
