"""Items of a request, as a worker turns them back into arguments; see `arguments`."""

from __future__ import annotations

from _pickle import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_classes: Sequence[type] = ()
"""Those to which the pickle that is being read refers by number."""


class Unpacker:
    """Turns items back into what they were, one at a time."""

    def __init__(self) -> None:
        self._stream: bytes | None = None
        self._classes: list[type] = []

    def unpack(self, packed: Any) -> Any:
        """Return an item that has come among others: simple, in a tuple of its own, or pickled.

        Raises:
            Exception: whatever its own unpickling raises.
        """
        kind = type(packed)
        if kind is bytes:
            return loads(packed)
        if kind is tuple:
            return packed[0]
        stream, buffers, classes = packed
        if classes is None:
            return loads(stream, buffers=buffers)
        if classes != self._stream:
            self._classes = loads(classes)
            self._stream = classes
        global _classes
        _classes = self._classes
        return loads(stream, buffers=buffers)


def shared_class(number: int) -> type:
    """Return the class of this number."""
    return _classes[number]
