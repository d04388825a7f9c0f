"""`serve`: a command worker in Python, as a function of the message.

Four rules hold here. The handler may print whatever it likes, in any way: the protocol travels on
descriptors of its own. An answer is written before the next handler begins, and what belongs to its
stderr before the answer. An exception ends the worker without an answer, `sys.exit` with one. And
nothing but the standard library's smallest modules is imported, not even `typing`, which alone
would double the time to start.
"""

from __future__ import annotations

import faulthandler
import os
import sys

from processpool.worker.capture import Capture
from processpool.worker.current import introduce
from processpool.worker.descriptors import high
from processpool.worker.framed_pipes import BrokenRequestError, DisconnectedError, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Handler(Protocol):
        """An object that answers requests; `handle_exit()` is optional."""

        def handle_request(self, data: Any, /) -> Any:
            """Print or return the answer to one request."""


CODEC_VARIABLE = "PROCESSPOOL_CODEC"
"""Names the codec of the pool that started this worker."""

SLOT_VARIABLE, WORKER_VARIABLE = "PROCESSPOOL_SLOT", "PROCESSPOOL_WORKER"
POOL_VARIABLE = "PROCESSPOOL_POOL"
"""Tell who this worker is."""

READY_VARIABLE = "PROCESSPOOL_READY_FD"
"""The descriptor on which the pool is told: a newline, ready for the first request; and a dot with
the number of the last answer, after which nothing is begun."""


def serve(handler: Callable[[Any], Any] | Handler, *, codec: str | None = None) -> None:
    """Answer requests until the pool says to exit or closes stdin.

    The answer is what the handler prints - itself, or through C code or a child process - and then
    what it returns: str and bytes as they are, None not at all, anything else as JSON. What it
    writes to stderr is the answer's stderr. Output outside of a request goes to stderr.

    An exception is written to stderr, after what had been printed, and ends the process with status
    1 and no answer. `sys.exit` ends it too, but what was printed is still the answer.

    Args:
        handler: a function of the message, or an object with `handle_request(message)` and, if it
            likes, `handle_exit()`, which is called before the worker exits in good order.
        codec: what a message is: `text` (str), `bytes`, or `json` (any JSON value). By default what
            the pool's YAML says, and `text` where no pool started this program.

    Raises:
        TypeError: the handler is neither a function nor such an object.
        ValueError: there is no such codec.
    """
    handle = _handle_request(handler)
    decode = _decoder(codec or os.environ.get(CODEC_VARIABLE) or "text")
    if os.isatty(0):
        print(r"processpool worker: waiting for 1;<bytes>\n<data> or 0;\n", file=sys.stderr)
    wire = Wire()
    capture = Capture()
    faulthandler.enable(file=2)
    pool = _Pool()
    _introduce()
    try:
        _Worker(handle, decode, wire, capture, pool.say_last).run()
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
        say_last: Callable[[int], None],
    ) -> None:
        self._handle = handle
        self._decode = decode
        self._wire = wire
        self._capture = capture
        self._say_last = say_last
        self._take = capture.take
        self._write = wire.answer

    def run(self) -> None:
        """Answer every request; return when there will be no more."""
        try:
            # Two maps, so that while it waits nothing holds the last message any longer.
            requests = self._wire.requests(on_arrival=self._capture.spill_if_any)
            for _ in map(self._answer, map(self._decode, requests)):
                pass
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
            if stop.code is not None and not isinstance(stop.code, int):
                print(stop.code, file=sys.stderr)  # the interpreter would, but after the answer
                stop.code = 1
            printed = self._take()
            self._say_last(self._wire.answers + 1)
            self._write(printed)
            raise
        printed = self._take()
        if type(value) is str:
            self._write(printed + value.encode())
        elif value is None:
            self._write(printed)
        else:
            self._write(printed + _encode(value))


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

    def __init__(self) -> None:
        """Say that this worker awaits its first request."""
        descriptor = os.environ.pop(READY_VARIABLE, "")
        self._descriptor = high(int(descriptor)) if descriptor.isdecimal() else -1
        self._say(b"\n")

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
