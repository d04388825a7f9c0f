"""Arguments, pickled where they are handed in: on the caller's thread, before anything is decided.

So nothing of the user's runs while the pool decides or writes, an item that cannot be pickled fails
alone, and what becomes of its arguments later makes no difference. Simple values stay as they are:
it runs no code to pickle them, it cannot fail, and many of them travel in one pickle.

A worker unpickles an item when it comes to it (`unpacker`). So what cannot be unpickled, or kills
the worker meanwhile, is an item of its own as well.
"""

from __future__ import annotations

from _pickle import PickleBuffer, dumps
from itertools import chain

from processpool.system.interrupts import PICKLING, SHIELD, uninterrupted
from processpool.wire.python import unfindable
from processpool.wire.python.layout import LARGE, STAR
from processpool.wire.python.pickling import MAIN, PROTOCOL, collector, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processpool.wire.python.class_table import ClassTable

    Packed = tuple[list[Any], int, BaseException | None]
    """The first of some items as they travel, their bytes, as far as these are plain to see, and
    why the item behind them cannot be sent, if so."""

_SIMPLE = frozenset({int, float, bool, str, bytes, type(None)})
"""Of these types exactly: a subclass has code of its own."""


class Unsendable(Exception):
    """An item cannot be sent to a worker."""

    def __init__(self, error: BaseException) -> None:
        """`error` says why."""
        super().__init__(error)
        self.error = error


class Pickled:
    """The arguments of one item, pickled."""

    __slots__ = ("buffers", "classes", "stream")

    def __init__(
        self, stream: bytes, buffers: list[Any], classes: ClassTable | None = None
    ) -> None:
        """`buffers` are beside the stream; `classes` are those that it refers to by number."""
        self.stream = stream
        self.buffers = buffers
        self.classes = classes

    def __len__(self) -> int:
        return len(self.stream) + sum(map(len, self.buffers))

    @property
    def packed(self) -> Any:
        """How it travels among other items; see `unpacked`."""
        if self.classes is None and not self.buffers:
            return self.stream
        buffers = [PickleBuffer(buffer) for buffer in self.buffers]
        return [self.stream, buffers, None if self.classes is None else self.classes.stream]


def pack_call(args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Return the arguments of one call, pickled unless they are simple.

    Raises:
        Unsendable: they cannot be pickled; a note of the error says which part is to blame.
    """
    if not keywords and _SIMPLE.issuperset(map(type, args)):
        return args, keywords
    return _pack_call((args, keywords))


@uninterrupted
def _pack_call(call: tuple[Any, ...]) -> Pickled:
    try:
        with PICKLING:
            return _alone(call)
    except BaseException as error:  # the code of the arguments runs there, and may raise anything
        if SHIELD.has_raised(error):
            raise
        raise Unsendable(error) from None


def pack_items(items: list[Any], style: int, most: int) -> Packed:
    """Return the items of a map as they travel, pickled unless they are simple.

    Args:
        items: what each call is made with.
        style: whether that is one argument (`ONE`), or several (`STAR`).
        most: bytes after which no further item is pickled.

    Returns:
        the first of the items; their bytes, as far as these are plain to see; and why the item
        behind them cannot be sent, if so.
    """
    flat = chain.from_iterable(items) if style == STAR else items
    if _SIMPLE.issuperset(map(type, flat)):
        return items, len(items) * _size_of(items[-1]) if items else 0, None
    return _pack_items(items, style, most)


@uninterrupted
def _pack_items(items: list[Any], style: int, most: int) -> Packed:
    with PICKLING:
        packer = _Packer(style)
        packed = packer.pack(items, most)
        try:
            packer.finish()
        except BaseException as error:  # a class among them cannot be pickled: whose is it?
            if SHIELD.has_raised(error):
                raise
            packed = _Packer(style, shares_classes=False).pack(items, most)
        return packed


class _Packer:
    """Pickles some of the items of a map."""

    def __init__(self, style: int, *, shares_classes: bool = True) -> None:
        self._style = style
        self._shares_classes = shares_classes
        self._classes: ClassTable | None = None
        self._beside: list[Any] = []
        self._collect = collector(self._beside, LARGE)

    def pack(self, items: list[Any], most: int) -> Packed:
        """See `pack_items`."""
        payloads: list[Any] = []
        size = 0
        for item in items:
            try:
                payload = self._pack(item)
            except BaseException as error:
                if SHIELD.has_raised(error):
                    raise
                return payloads, size, error
            payloads.append(payload)
            size += len(payload) if type(payload) is Pickled else _size_of(payload)
            if size >= most:
                break
        return payloads, size, None

    def finish(self) -> None:
        """Pickle the classes that the items refer to.

        Raises:
            Exception: one of them cannot be pickled.
        """
        if self._classes is not None:
            self._classes.pack()

    def _pack(self, item: Any) -> Any:
        if self._style == STAR:
            if _SIMPLE.issuperset(map(type, item)):
                return item
        elif type(item) in _SIMPLE:
            return item
        if self._classes is not None:  # most likely it is like those before
            return self._by_value(item)
        try:
            stream = dumps(item, PROTOCOL, buffer_callback=self._collect)
        except Exception:  # see what cloudpickle can do
            stream = MAIN
        buffers = self._take_buffers()
        if MAIN not in stream and not _is_unfindable(stream):
            return Pickled(stream, buffers)
        return self._by_value(item) if self._shares_classes else _alone(item)

    def _by_value(self, item: Any) -> Pickled:
        if self._classes is None:
            from processpool.wire.python.class_table import ClassTable

            self._classes = ClassTable()
        try:
            stream, *buffers = self._classes.pack_item(item)
        except Exception:
            return _alone(item)
        return Pickled(stream, buffers, self._classes)

    def _take_buffers(self) -> list[Any]:
        buffers = self._beside[:]
        self._beside.clear()
        return buffers


def _alone(item: Any) -> Pickled:
    """Pickle an item with all that belongs to it."""
    try:
        stream, *buffers = pack(item)
    except Exception as error:
        from processpool.wire.python.remote_errors import add_note
        from processpool.wire.python.unpicklable import find

        place = find(item)
        where = f": {place.strip()}" if place else ""
        add_note(error, f"The item cannot be sent to a worker{where}.")
        raise
    return Pickled(stream, buffers)


def _is_unfindable(stream: bytes) -> bool:
    return bool(unfindable.names) and any(name in stream for name in unfindable.names)


def _size_of(item: Any) -> int:
    """The bytes of simple values, where that is plain to see."""
    if type(item) is tuple:
        return sum(map(_size_of, item))
    return len(item) if type(item) in (bytes, str) else 0
