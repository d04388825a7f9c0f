"""The requests of a fake engine: messages without framing, and functions that are not pickled."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from threading import Lock
from typing import TYPE_CHECKING, Any

from processpool.wire.codecs import make_codec
from processpool.wire.python.arguments import Pickled
from processpool.wire.python.functions import Function, Functions, Task, short_name
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
    """Rejects the messages that a framing rejects, and leaves others unframed."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing

    def encode(self, data: bytes) -> tuple[bytes, ...]:
        """Return the message itself, as a single buffer.

        Raises:
            ProtocolError: the framing rejects the message.
        """
        self._framing.encode(data)
        return (data,)

    def encode_many(self, payloads: list[bytes]) -> list[tuple[bytes, ...]] | None:
        """Return the messages themselves; None if they are to be encoded one by one."""
        fine = self._framing.encode_many(payloads) is not None
        return [(payload,) for payload in payloads] if fine else None


class LiveFunctions(Functions):
    """Functions that are called in this process, so they are not pickled and share its state."""

    def __init__(self) -> None:
        super().__init__()
        self._used: dict[str, _LiveFunction] = {}
        """The last function of each name."""

    def get(self, function: Callable[..., Any], *, exactly: bool = False) -> Function:
        """Return a `Function` that holds the callable itself."""
        live = _LiveFunction(function)
        self._used[live.name] = live
        return live

    def named(self, name: str) -> list[Callable[..., Any]]:
        """Return the function that was last used and has this name, as in a real pool."""
        return [live.call for live in self._used.values() if short_name(live) == name]


class _LiveFunction(Function):
    __slots__ = ("call",)

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(0, [], getattr(function, "__qualname__", repr(function)))
        self.call = function


def call(handler: Callable[..., Any] | None, item: Any, task: Task | None) -> Any:
    """Call the handler, or without one the task's function, with copies of an item's arguments."""
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
    """Return a handler for messages of a command pool, which answers as `serve` does.

    The answer is what `handler` prints, followed by what it returns.
    """

    def perform(payload: Any, task: Task | None) -> Any:
        with redirect_stdout(io.StringIO()) as printed:
            value = handler(codec.decode(payload[0]))
        return codec.decode(printed.getvalue().encode() + _written(value))

    return perform


def _written(value: Any) -> bytes:
    """Return a value as the bytes that `serve` writes for it."""
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return make_codec("json").encode(value)
