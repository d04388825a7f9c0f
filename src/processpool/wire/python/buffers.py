"""Large buffers beside a pickle: what every pickler here has in common."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PROTOCOL = 5
"""The version of pickle's format that lets buffers travel beside the stream."""


def collector(buffers: list[memoryview], large: int) -> Callable[[Any], bool]:
    """Return the callback of a pickler that takes large buffers out of its stream.

    Args:
        buffers: where they are put.
        large: bytes from which on a buffer is large.
    """

    def keep_in_stream(buffer: Any) -> bool:
        view = buffer.raw()
        if view.nbytes < large:
            return True
        buffers.append(view)
        return False

    return keep_in_stream
