"""Requests as a fake engine takes them: messages unframed, and functions as they are."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from threading import Lock
from typing import TYPE_CHECKING, Any

from processpool.wire.codecs import make_codec
from processpool.wire.python.arguments import Pickled
from processpool.wire.python.functions import Function, Functions, Task
from processpool.wire.python.layout import FULL, ONE, STAR
from processpool.wire.python.unpacker import Unpacker

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.fake_workers import Handler
    from processpool.wire.codecs import Codec
    from processpool.wire.framing.base import Framing

_STYLES = ONE | STAR | FULL
_unpickling = Lock()


class Unframed:
    """Refuses what a framing refuses, and otherwise leaves messages alone."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing

    def encode(self, data: bytes) -> tuple[bytes, ...]:
        """The message, in one piece.

        Raises:
            ProtocolError: the framing cannot carry it.
        """
        self._framing.encode(data)
        return (data,)


class LiveFunctions(Functions):
    """Functions that stay in this process: they are not pickled, and see what their caller sees."""

    def get(self, function: Callable[..., Any], *, exactly: bool = False) -> Function:
        """The function, with a name as workers know it."""
        return _LiveFunction(function)


class _LiveFunction(Function):
    __slots__ = ("call",)

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(0, [], getattr(function, "__qualname__", repr(function)))
        self.call = function


def call(handler: Callable[..., Any] | None, item: Any, task: Task | None) -> Any:
    """Call the handler, or the function that the request names, with an item's arguments.

    These are copies, as they are in a worker.
    """
    assert task is not None
    if type(item) is Pickled:
        with _unpickling:
            item = Unpacker().unpack(item.packed)
    if handler is None:
        assert isinstance(task.function, _LiveFunction)
        handler = task.function.call
    style = task.style & _STYLES
    if style == ONE:
        return handler(item)
    args, kwargs = item if style == FULL else (item, {})
    return handler(*args, **kwargs)


def message_handler(handler: Callable[[Any], Any], codec: Codec) -> Handler:
    """What does the requests of a command pool, as `serve` does: what is printed comes first."""

    def perform(payload: Any, task: Task | None) -> Any:
        with redirect_stdout(io.StringIO()) as printed:
            value = handler(codec.decode(payload[0]))
        return codec.decode(printed.getvalue().encode() + _written(value))

    return perform


def _written(value: Any) -> bytes:
    """A value as `serve` writes it."""
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return make_codec("json").encode(value)
