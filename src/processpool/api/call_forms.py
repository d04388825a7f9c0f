"""The call forms of a pool: what a caller passes, and what a worker is sent.

A pool whose YAML names what it does takes data; a pool of Python functions without a handler takes
the function first. The wrong form is a `TypeError` that shows the right one.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from processpool.api.feed import Feed
from processpool.errors import ProcessPoolError
from processpool.factory import CallParts, HandlerParts, MessageParts, Parts
from processpool.journal.keys import key_of_bytes, keys_of_arguments
from processpool.wire.python.arguments import pack_call, pack_items
from processpool.wire.python.functions import HANDLER, Function, Functions, Request, Task
from processpool.wire.python.layout import FULL, ONE, STAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool.factory import Framer
    from processpool.wire.codecs import Codec
    from processpool.wire.python.arguments import Packed

    Packer = Callable[[list[Any], int], Packed]
    """Packs items of a map, until that makes so many bytes."""
    Keys = Callable[[list[Any], list[Any]], list[bytes | str]]
    """What a journal knows items by, given these and how they are packed."""

Call = tuple[tuple[Any, ...], dict[str, Any], Task | None]
"""Arguments and keywords of one item, and what is to be done with it."""
_HANDLE = Task(HANDLER, FULL)
_NO_KEYWORDS: dict[str, Any] = {}
"""Shared and never written to, so that waiting items need no dictionary each."""


class Items(NamedTuple):
    """The input of a map: its items, how they are packed, and how many there are, if known."""

    iterator: Iterator[Any]
    pack: Packer
    total: int | None
    keys: Keys
    task: Task | None = None
    feed: Feed | None = None
    """Where they come from, if nobody is to wait for them."""

    @property
    def task_is_given(self) -> bool:
        """True if the caller has named the function."""
        return self.task is not None and self.task.function is not HANDLER

    @property
    def is_spread(self) -> bool:
        """True if an item is a tuple of several arguments."""
        return self.task is not None and bool(self.task.style & STAR)


class Form(Protocol):
    """How a pool takes work.

    First it is looked at how a method was called, which may be a `TypeError`. Then items are
    packed, each as a worker is sent it: what that raises is the error of one item.
    """

    def single(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Return the item of `call` or `submit`, not packed yet.

        Raises:
            TypeError: the form is wrong.
        """

    def pack(self, call: Call) -> Request:
        """Return an item as it travels.

        Raises:
            ProcessPoolError, Unsendable: it cannot be sent.
        """

    def many(self, method: str, args: tuple[Any, ...]) -> Items:
        """Return the items of a map, not packed yet.

        Raises:
            TypeError: the form is wrong.
        """


def make_form(parts: Parts) -> Form:
    """Return the form of a pool whose engine was built with these parts."""
    match parts:
        case MessageParts(framing, codec):
            return MessageForm(framing, codec)
        case HandlerParts(renew):
            return HandlerForm(renew)
        case CallParts(functions, renew_function):
            return CallForm(functions, renew_function)


class MessageForm:
    """The form of command pools: one message in, one answer out."""

    def __init__(self, framing: Framer, codec: Codec) -> None:
        self._frame, self._frame_many = framing.encode, framing.encode_many
        self._encode, self._encode_many = codec.encode, codec.encode_many
        self.decode = codec.decode

    def single(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Return the message of `call` or `submit`."""
        if len(args) != 1 or kwargs:
            raise TypeError(
                f"this pool runs a command: write pool.{method}(message), with one message "
                "and no other arguments"
            )
        return args, kwargs, None

    def pack(self, call: Call) -> Request:
        """Return the buffers of one request.

        Raises:
            CodecError: the codec cannot encode the message.
            ProtocolError: the framing cannot carry it.
        """
        return self._frame(self._encode(call[0][0])), None

    def many(self, method: str, args: tuple[Any, ...]) -> Items:
        """Return the input of a map."""
        if len(args) != 1 or (callable(args[0]) and not hasattr(args[0], "__iter__")):
            raise TypeError(
                f"this pool runs a command: write pool.{method}(messages), with one iterable of "
                "messages"
            )
        messages = args[0]
        total, feed = total_of(messages), _feed_of(messages)
        return Items(iter(messages), self._pack_many, total, self._keys, feed=feed)

    def _keys(self, messages: list[Any], payloads: list[Any]) -> list[bytes | str]:
        """The framing may have put a number into each payload, so that says nothing."""
        return [key_of_bytes(self._encode(message)) for message in messages[: len(payloads)]]

    def _pack_many(self, messages: list[Any], most: int) -> Packed:
        quickly = self._pack_quickly(messages, most)
        if quickly is not None:
            return quickly
        frame, encode = self._frame, self._encode
        payloads: list[tuple[bytes, ...]] = []
        size = 0
        for message in messages:
            try:
                payload = frame(encode(message))
            except ProcessPoolError as error:
                return payloads, size, error
            payloads.append(payload)
            size += sum(map(len, payload))
            if size >= most:
                break
        return payloads, size, None

    def _pack_quickly(self, messages: list[Any], most: int) -> Packed | None:
        """Pack small messages with which nothing is wrong, all at once; None if they are others."""
        encoded = self._encode_many(messages, most) if messages else None
        payloads = None if encoded is None else self._frame_many(encoded)
        if payloads is None:
            return None
        size = sum(map(len, chain.from_iterable(payloads)))
        return (payloads, size, None) if size <= most else None


class PythonForm:
    """What the forms of pools of Python functions have in common."""

    def pack(self, call: Call) -> Request:
        """Return the arguments of one call, pickled unless they are simple.

        Raises:
            Unsendable: they cannot be pickled.
        """
        args, kwargs, task = call
        return pack_call(args, kwargs), task


class HandlerForm(PythonForm):
    """The form of Python pools with a handler: data in, as the handler takes it."""

    def __init__(self, renew: Callable[[], None]) -> None:
        """`renew` is called before the handler is used."""
        self._renew = renew

    def single(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Return the arguments of the handler."""
        self._renew()
        return args, kwargs or _NO_KEYWORDS, _HANDLE

    def many(self, method: str, args: tuple[Any, ...]) -> Items:
        """Return the input of a map: one iterable for each parameter of the handler."""
        if not args or (callable(args[0]) and not hasattr(args[0], "__iter__")):
            raise TypeError(
                f"this pool has a handler: write pool.{method}(data), with one iterable for each "
                "of the handler's parameters, and no function"
            )
        self._renew()
        return zipped(args, HANDLER)


class CallForm(PythonForm):
    """The form of Python pools without a handler: the function first, then its arguments."""

    def __init__(self, functions: Functions, renew: Callable[[Function], None]) -> None:
        """`renew` is called with each function before it is used."""
        self._functions = functions
        self._renew = renew

    def single(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Return a function and its arguments."""
        function = self._function(method, args, "*args, **kwargs")
        return args[1:], kwargs or _NO_KEYWORDS, function.task

    def many(self, method: str, args: tuple[Any, ...]) -> Items:
        """Return the input of a map: a function, and one iterable for each of its parameters."""
        function = self._function(method, args, "*iterables")
        if len(args) < 2:
            raise TypeError(
                f"write pool.{method}(function, *iterables), with one iterable at least"
            )
        return zipped(args[1:], function)

    def named(self, name: str) -> list[Callable[..., Any]]:
        """Return the functions that were used and have this name, as an item's record has it."""
        return self._functions.named(name)

    def _function(self, method: str, args: tuple[Any, ...], rest: str) -> Function:
        if not args or not callable(args[0]):
            raise TypeError(
                f"this pool has no handler: write pool.{method}(function, {rest}), with the "
                "function first; or name one in worker.handler"
            )
        function = self._functions.get(args[0], exactly="map" in method)
        self._renew(function)
        return function


def zipped(iterables: tuple[Any, ...], function: Function) -> Items:
    """Return the items of a map over several iterables, as many as the shortest has."""
    totals = [total_of(iterable) for iterable in iterables]
    total = None if None in totals else min(total for total in totals if total is not None)
    if len(iterables) == 1:
        task, feed = Task(function, ONE), _feed_of(iterables[0])
        return Items(iter(iterables[0]), packer(ONE), total, keys_of_arguments, task, feed)
    items = zip(*iterables, strict=False)
    return Items(items, packer(STAR), total, keys_of_arguments, Task(function, STAR))


def _feed_of(iterable: Any) -> Feed | None:
    return iterable if isinstance(iterable, Feed) else None


def packer(style: int) -> Packer:
    """Return what packs the items of a map of Python functions."""
    return lambda items, most: pack_items(items, style, most)


def total_of(iterable: Any) -> int | None:
    """Return how many items there are; None if the iterable does not know."""
    try:
        return len(iterable)
    except TypeError:
        return None
