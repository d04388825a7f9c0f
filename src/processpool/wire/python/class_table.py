"""Classes that cannot be imported, for many items: they travel once, and the items name them.

An item alone is pickled with all the classes that it refers to. Of many items each refers to them
by a number, so that an instance of a class of a notebook takes no more room than any other.
"""

from __future__ import annotations

import _pickle
from io import BytesIO
from pickle import PicklingError
from types import FunctionType

from processpool.wire.python.by_value import Pickler, is_imported, travels_by_name
from processpool.wire.python.layout import LARGE
from processpool.wire.python.pickling import PROTOCOL, WHOLE, collector, pack_by_value
from processpool.wire.python.unpacker import shared_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class ClassTable:
    """Classes that many items refer to by number: they travel once for all of these."""

    def __init__(self) -> None:
        self.stream = b""
        """The pickle of all the classes, once it is made."""
        self._classes: list[type] = []
        self._reduced: dict[type, Any] = {}

    def pack_item(self, item: Any) -> list[Any]:
        """Pickle an item, but not the classes in it that cannot be imported; as `pack` does.

        Raises:
            Exception: it cannot be pickled.
        """
        try:
            return self._pack_item(_QuickItemPickler, item)
        except Exception:  # there is more in it that cannot be imported
            return self._pack_item(_ItemPickler, item)

    def _pack_item(self, pickler: Callable[..., Any], item: Any) -> list[Any]:
        buffers: list[Any] = []
        stream = BytesIO()
        writer = pickler(stream, PROTOCOL, buffer_callback=collector(buffers, LARGE))
        writer.table = self
        writer.dump(item)
        return [stream.getvalue(), *buffers]

    def reduce(self, kind: type) -> Any:
        """The reduction of a class to its number; None if it can be imported."""
        reduced = self._reduced.get(kind, self)
        if reduced is self:
            reduced = None
            if not travels_by_name(kind):
                reduced = shared_class, (len(self._classes),)
                self._classes.append(kind)
            self._reduced[kind] = reduced
        return reduced

    def pack(self) -> None:
        """Pickle the classes.

        Raises:
            Exception: one of them cannot be pickled.
        """
        self.stream = pack_by_value(self._classes, WHOLE)[0]


class _ItemPickler(Pickler):
    """Puts numbers in the place of classes that cannot be imported."""

    table: ClassTable

    def reducer_override(self, obj: Any) -> Any:
        reduced = self.table.reduce(obj) if isinstance(obj, type) else None
        return reduced or super().reducer_override(obj)


class _QuickItemPickler(_pickle.Pickler):
    """Like it, for items in which classes are all that cannot be imported."""

    table: ClassTable

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type):
            return self.table.reduce(obj) or NotImplemented
        if type(obj) is FunctionType and obj is not shared_class and not is_imported(obj):
            raise PicklingError("a function by value")
        return NotImplemented
