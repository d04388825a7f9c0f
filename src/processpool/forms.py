"""What a caller hands over, and what a worker is sent: the call forms of a pool.

A pool whose YAML names what it does takes data; a pool of Python functions without a handler takes
the function first. The wrong form is a `TypeError` that shows the right one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from processpool.protocols import Codec, Framing


class Items(NamedTuple):
    """The input of a map: its items, how each is packed, and how many there are, if known."""

    iterator: Iterator[Any]
    pack: Callable[[Any], Any]
    total: int | None


class MessageForm:
    """The form of command pools: one message in, one answer out."""

    def __init__(self, framing: Framing, codec: Codec) -> None:
        self._frame = framing.encode
        self._encode = codec.encode
        self.decode = codec.decode

    def pack(self, message: Any) -> tuple[bytes, ...]:
        """The buffers of one request.

        Raises:
            CodecError: the codec cannot encode the message.
            ProtocolError: the framing cannot carry it.
        """
        return self._frame(self._encode(message))

    def single(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The payload of `call` or `submit`."""
        if len(args) != 1 or kwargs:
            raise TypeError(
                f"this pool runs a command: write pool.{method}(message), with one message "
                f"and no other arguments"
            )
        return self.pack(args[0])

    def many(self, method: str, args: tuple[Any, ...]) -> Items:
        """The input of a map."""
        if len(args) != 1 or callable(args[0]) and not hasattr(args[0], "__iter__"):
            raise TypeError(
                f"this pool runs a command: write pool.{method}(messages), with one iterable of "
                "messages"
            )
        return Items(iter(args[0]), self.pack, total_of(args[0]))


def total_of(iterable: Any) -> int | None:
    """How many items there are, where the iterable knows."""
    try:
        return len(iterable)
    except TypeError:
        return None
