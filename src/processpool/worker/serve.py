"""`serve`: a command worker in Python, as a function of the message.

Four rules hold here. The handler may print whatever it likes, in any way: the protocol travels on
descriptors of its own. An answer is written before the next handler begins, and what belongs to its
stderr before the answer. An exception fails its item where the pool can be told about it, and ends
the worker without an answer elsewhere; `sys.exit` ends it with one. And nothing but the standard
library's smallest modules is imported, not even `typing`, which alone would double the time to
start.
"""

from __future__ import annotations

import faulthandler
import os
import sys

from processpool.wire.served import AHEAD, BEGUN, ITEMS, RECALLED, STOPPED, TRACED_AT
from processpool.wire.variables import (
    CODEC_VARIABLE,
    POOL_VARIABLE,
    READY_VARIABLE,
    SLOT_VARIABLE,
    WORKER_VARIABLE,
)
from processpool.worker.capture import Capture
from processpool.worker.current import find_item, introduce
from processpool.worker.descriptors import high
from processpool.worker.framed_pipes import BrokenRequestError, DisconnectedError, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, Protocol

    from processpool.worker.channel import Channel
    from processpool.worker.spans import Spans

    class Handler(Protocol):
        """An object that answers requests; `handle_exit()` is optional."""

        def handle_request(self, data: Any, /) -> Any:
            """Print or return the answer to one request."""


_GENERATOR = type(_ for _ in ())


def serve(
    handler: Callable[[Any], Any] | Handler,
    *,
    codec: str | None = None,
    on_error: Literal["item", "exit"] = "item",
) -> None:
    """Answer requests until the pool says to exit or closes stdin.

    A handler may yield: where the pool's user reads the parts (`pool.stream`), each is sent as soon
    as it is there; elsewhere they are one answer.

    The answer is what the handler prints - itself, or through C code or a child process - and then
    what it returns: str and bytes as they are, None not at all, anything else as JSON. What it
    writes to stderr is the answer's stderr. Output outside of a request goes to stderr.

    An exception fails its item with `RemoteError`, and the next message is served. Where no pool of
    this package started the program, or with `on_error="exit"`, it is written to stderr, after what
    had been printed, and ends the process with status 1 and no answer. `processpool.Retire` gives
    the item to another worker, and ends this one. `sys.exit` ends it too, but what was printed is
    still the answer.

    Args:
        handler: a function of the message, or an object with `handle_request(message)` and, if it
            likes, `handle_exit()`, which is called before the worker exits in good order.
        codec: what a message is: `text` (str), `bytes`, or `json` (any JSON value). By default what
            the pool's YAML says, and `text` where no pool started this program.
        on_error: what an exception ends, where a pool started this program: the `item`, or the
            process (`exit`).

    Raises:
        TypeError: the handler is neither a function nor such an object.
        ValueError: there is no such codec, or no such `on_error`.
    """
    handle = _handle_request(handler)
    decode = _decoder(codec or os.environ.get(CODEC_VARIABLE) or "text")
    if on_error not in ("item", "exit"):
        raise ValueError(f"on_error is 'item' or 'exit', got {on_error!r}")
    if os.isatty(0):
        print(r"processpool worker: waiting for 1;<bytes>\n<data> or 0;\n", file=sys.stderr)
    wire = Wire()
    capture = Capture()
    faulthandler.enable(file=2)
    _introduce()
    pool = _Pool()
    try:
        _Worker(handle, decode, wire, capture, pool).run(fails_items=on_error == "item")
        getattr(handler, "handle_exit", _nothing)()
    finally:
        capture.close()
        wire.close()


class _Worker:
    """The loop over requests."""

    def __init__(
        self,
        handle: Callable[[Any], Any],
        decode: Callable[[bytes], Any],
        wire: Wire,
        capture: Capture,
        pool: _Pool,
    ) -> None:
        self._handle = handle
        self._handler = getattr(handle, "__self__", handle)
        self._decode = decode
        self._wire = wire
        self._capture = capture
        self._pool = pool
        self._channel = pool.channel
        self._take = capture.take
        self._write = wire.answer
        self._begun = 0
        """The last request that it has come to, where there is a channel."""
        self._is_running = False
        """True while a request has begun and is not answered, where there is a channel."""
        self._spans: Spans | None = None
        """There once a request was in a trace."""

    def run(self, *, fails_items: bool) -> None:
        """Answer every request; return when there will be no more."""
        try:
            # Maps, so that while it waits nothing holds the last message any longer.
            requests = self._wire.requests(on_arrival=self._capture.spill_if_any)
            if self._channel is None:
                for _ in map(self._answer, map(self._decode, requests)):
                    pass
                return
            while True:
                try:
                    for _ in map(self._answer_noted, requests):
                        pass
                    return
                except Exception as error:
                    if not self._fail(self._channel, error, fails_items=fails_items):
                        return
        except DisconnectedError:
            return
        except BrokenRequestError as error:
            print(f"processpool worker: {error}", file=sys.stderr)
            raise SystemExit(1) from None
        except SystemExit:
            raise
        except BaseException as error:
            self._capture.spill()
            _show(error)
            raise SystemExit(1) from None

    def _answer(self, message: Any) -> None:
        try:
            value = self._handle(message)
        except SystemExit as stop:
            self._answer_last(stop)
            raise
        printed = self._take()
        if type(value) is str:
            self._write(printed + value.encode())
        elif value is None:
            self._write(printed)
        elif type(value) is _GENERATOR:
            self._write(printed + self._joined(value))
        else:
            self._write(printed + _encode(value))

    def _answer_noted(self, payload: bytes) -> None:
        """As `_answer`, where the pool sees what has begun."""
        channel = self._channel
        assert channel is not None
        page = channel.page
        self._begun = number = self._begun + 1
        page[BEGUN] = number
        if page[RECALLED] >= number and channel.is_recalled(number):
            return
        self._is_running = True
        if page[TRACED_AT + number % ITEMS]:
            with self._below(channel, number):
                printed = self._handled(channel, payload)
        else:
            printed = self._handled(channel, payload)
        if page[AHEAD]:
            channel.mark_stderr(number)
        self._is_running = False
        if channel.is_streamed(number):
            channel.tell_final(number, self._wire.answers + 1)
        self._write(printed)

    def _handled(self, channel: Channel, payload: bytes) -> bytes:
        """Have a request handled; return the answer."""
        try:
            value = self._handle(self._decode(payload))
        except SystemExit as stop:
            self._answer_last(stop)
            raise
        if type(value) is _GENERATOR:
            return self._answer_in_parts(channel, value)
        printed = self._take()
        if type(value) is str:
            printed += value.encode()
        elif value is not None:
            printed += _encode(value)
        return printed

    def _below(self, channel: Channel, number: int) -> Spans:
        """Return a context, in which a request is below the span that the pool has named."""
        if self._spans is None:
            from processpool.worker.spans import Spans

            self._spans = Spans(channel.current)
        index, _ = channel.current()
        return self._spans.within(channel.span(number), index or 0, self._handler)

    def _answer_in_parts(self, channel: Channel, parts: Any) -> bytes:
        """Send what a handler yields, as far as it is wanted; return the rest of the answer."""
        number = self._begun
        if not channel.is_streamed(number):
            return self._joined(parts)
        sent, sizes = 0, []  # type: ignore[var-annotated]
        try:
            while channel.page[STOPPED] != number:
                try:
                    part = _encode(next(parts))
                except StopIteration as end:
                    return self._take() + (b"" if end.value is None else _encode(end.value))
                part = self._take() + part
                if not channel.await_room(number, sent, sizes, len(part)):
                    break
                sizes.append(len(part))
                sent += 1
                self._write(part)
        finally:
            parts.close()
        return self._take()

    def _joined(self, parts: Any) -> bytes:
        """What a handler yields, and what it prints meanwhile, as one answer."""
        answer = self._take()
        for part in parts:
            answer += self._take() + _encode(part)
        return answer + self._take()

    def _answer_last(self, stop: SystemExit) -> None:
        """The handler ends this process: what it has printed is the last answer."""
        if stop.code is not None and not isinstance(stop.code, int):
            print(stop.code, file=sys.stderr)  # the interpreter would, but after the answer
            stop.code = 1
        printed = self._take()
        if self._channel is None:
            self._pool.say_last(self._wire.answers + 1)
        else:
            self._channel.say_last(self._begun)
            if self._channel.is_streamed(self._begun):
                self._channel.tell_final(self._begun, self._wire.answers + 1)
        self._write(printed)

    def _fail(self, channel: Channel, error: Exception, *, fails_items: bool) -> bool:
        """Fail the item that has raised; False if this worker is to go.

        What is raised between two items, or cannot be told, is raised again and ends the worker.
        """
        from processpool.wire.in_text import asks_to_retire, in_text

        retires = asks_to_retire(error)
        if not self._is_running or not (fails_items or retires):
            raise error
        printed = self._take()
        if retires:
            channel.say_last(self._begun)
        if not channel.tell_failure(self._begun, retires, in_text(error, globals())):
            raise error
        if channel.page[AHEAD]:
            channel.mark_stderr(self._begun)
        self._is_running = False
        if channel.is_streamed(self._begun):
            channel.tell_final(self._begun, self._wire.answers + 1)
        self._write(printed)
        return not retires


def _handle_request(handler: Any) -> Callable[[Any], Any]:
    handle: Callable[[Any], Any] | None = getattr(handler, "handle_request", None)
    if handle is None:
        handle = handler
    elif isinstance(handler, type):
        raise TypeError(f"serve() takes an object, got the class: write {handler.__name__}()")
    if callable(handle):
        return handle
    raise TypeError(
        f"serve() takes a function of the message, or an object with handle_request(message), "
        f"got {handler!r}"
    )


def _decoder(codec: str) -> Callable[[bytes], Any]:
    if codec == "text":
        return bytes.decode
    if codec == "bytes":
        return bytes
    if codec == "json":
        import json

        return lambda payload: json.loads(payload.decode())
    raise ValueError(f"no codec is called {codec!r}; there are text, bytes, json")


def _encode(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    import json

    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _show(error: BaseException) -> None:
    """Write the traceback as the interpreter would, without the frames of this module."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace or error.__traceback__), trace)


class _Pool:
    """What started this worker, if it wants to know more than answers."""

    channel: Channel | None = None
    """There if this is a pool of this package."""

    def __init__(self) -> None:
        """Say that this worker awaits its first request."""
        descriptor = os.environ.pop(READY_VARIABLE, "")
        self._descriptor = high(int(descriptor)) if descriptor.isdecimal() else -1
        if self._descriptor >= 0:
            from processpool.worker.channel import open_channel

            self.channel = open_channel(self._descriptor)
        if self.channel is None:
            self._say(b"\n")
        else:
            find_item(self.channel.current)

    def say_last(self, number: int) -> None:
        """Say that nothing will be begun after this answer, however much has been read.

        It is said before the answer, so that nobody sends more because of that; and with its
        number, so that it is known whether the answer has come.
        """
        self._say(b".%d" % number)

    def _say(self, word: bytes) -> None:
        if self._descriptor >= 0:
            try:
                os.write(self._descriptor, word)
            except OSError:
                self._descriptor = -1  # nobody listens


def _introduce() -> None:
    """Find out who this worker is, if a pool started it."""
    slot, number = os.environ.get(SLOT_VARIABLE, ""), os.environ.get(WORKER_VARIABLE, "")
    if slot.isdecimal() and number.isdecimal():
        introduce(int(slot), int(number), os.environ.get(POOL_VARIABLE, ""))


def _nothing() -> None:
    """Stand in for a handler's `handle_exit`."""
