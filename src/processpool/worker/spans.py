"""Items that are a part of a trace: whoever starts a span in one starts it below that item's own.

A request says which span its items are below. That becomes the current context of OpenTelemetry,
once a request, if the user's code has imported that; otherwise nothing happens. An item has a span
as soon as its function looks at the context for the first time, which is when it starts a span of
its own, or logs with the trace's identity. It is exported by whatever this worker has for that. An
item that does not look costs nothing.
"""

from __future__ import annotations

import sys
from time import time_ns

from processpool.wire.python.layout import CARRIER, PACKET
from processpool.worker.inheritance import when_imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processpool.worker.answers import Answers
    from processpool.worker.current import Item
    from processpool.worker.item_spans import End

TRACING = "opentelemetry.trace"
"""The module without which no code can start a span."""


def split_carrier(packet: bytes) -> tuple[bytes, bytes]:
    """Return what names the trace of a request, and the payload behind it."""
    (length,) = CARRIER.unpack_from(packet, PACKET.size)
    begin = PACKET.size + CARRIER.size
    return packet[begin : begin + length], packet[begin + length :]


def ends_with_reply(answers: Answers) -> Callable[[End], None]:
    """Return what has a function called when the running item ends, which then gets a reply."""

    def follow(end: End) -> None:
        reply = answers.reply

        def end_and_reply(value: Any, raised: Any) -> None:
            answers.reply = reply  # type: ignore[method-assign]
            end(raised)
            reply(value, raised)

        answers.reply = end_and_reply  # type: ignore[method-assign]
        answers.output.flags[0] = True  # so that the item comes to `reply`

    return follow


class Spans:
    """The traces of a worker's items."""

    def __init__(
        self,
        item: Callable[[], Item],
        follow: Callable[[End], None] | None = None,
        tell: Callable[[], None] | None = None,
    ) -> None:
        """Nothing is in a trace yet.

        Args:
            item: returns the index and the attempt of the running item.
            follow: has a function called when that ends; None if each request is one item.
            tell: called once the user's code has imported OpenTelemetry, at the latest with the
                next request in a trace.
        """
        self._item = item
        self._follow = follow
        self._tell = tell
        self._carrier = b""
        """What names the trace of the current request; empty if it is in none."""
        self._began = 0, 0
        """The index of the request's first item, and when that began, in nanoseconds."""
        self._call: object = None
        self._watches = False
        self._current: Any = None
        """What stands for the items' spans; None outside of a trace."""
        self._latest: tuple[bytes, Any] = b"", None
        """The last trace, and the same for that: of a map, many requests come."""

    def within(self, carrier: bytes, first: int, call: object) -> Spans:
        """Return a context manager, in which items are in a trace.

        Args:
            carrier: what names it.
            first: the index of the first of the items.
            call: what they call.
        """
        self._carrier = carrier
        self._began = first, time_ns()
        self._call = call
        return self

    def __enter__(self) -> None:
        if TRACING in sys.modules:
            self._enter()
        elif not self._watches:
            self._watches = True
            when_imported(TRACING, lambda _: self._enter())

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        self._carrier = b""
        current, self._current = self._current, None
        if current is not None:
            current.leave(error)

    def _enter(self) -> None:
        """Make the trace the current one; called once per request, or in the middle of one."""
        if self._tell is not None:
            self._tell()
        if not self._carrier or self._current is not None:
            return
        known, span = self._latest
        if known != self._carrier:
            from processpool.worker.item_spans import item_span

            span = item_span(self._carrier, self._item, self._follow)
            self._latest = self._carrier, span
        self._current = span
        span.attach(self._call, *self._began)
