"""What goes down to a Python worker, as packets: functions, items, and what it is to forget.

Two rules hold here. A packet is written and read whole or not at all. And what is too large for one
lies in shared memory, and only its place travels.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from processpool.wire.python import layout
from processpool.wire.python.arena import join
from processpool.wire.python.arguments import Pickled
from processpool.wire.python.functions import HANDLER, Within
from processpool.wire.python.layout import LARGE, PACKET, PLACE
from processpool.wire.python.pickling import PROTOCOL, collector, dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from processpool.wire.python.arena import Arena
    from processpool.wire.python.functions import Function, Task

log = logging.getLogger("processpool")

EXIT = PACKET.pack(layout.EXIT, 0, 0, 0, 0, 0, 0, 0, 0)
"""The exit message."""
INLINE = layout.PACKET_LIMIT - PACKET.size
"""Bytes that a packet has room for."""
FUNCTIONS = 256
FUNCTIONS_SIZE = 64 * 1024 * 1024
"""Functions that a worker keeps, and bytes of their pickles: beyond that it forgets them all."""


class Requests:
    """One worker's requests: packets that are to be written, and what the worker knows by then."""

    def __init__(
        self,
        inbox: Arena,
        freed: list[tuple[int, int]],
        looks_at_traces: Callable[[], bool] = bool,
    ) -> None:
        """Begin with a worker that knows its handler and nothing else.

        Args:
            inbox: where large requests are placed for it.
            freed: places of its own that nobody here looks at any more; it is told, and they go.
            looks_at_traces: returns whether its items do.
        """
        self.unsent: deque[memoryview | bytes] = deque()
        """Packets in the order in which they are to be written."""
        self.sent_long = False
        """True once a request had to go through the pipe in many packets: none is read back."""
        self._inbox = inbox
        self._freed = freed
        self._known = {HANDLER.number}
        self._traced: set[int] = set()
        """Functions of which an item was told of its trace, and so could begin to look at it."""
        self._looks_at_traces = looks_at_traces
        self._functions_size = 0
        self._path = {*sys.path}

    # -- items -----------------------------------------------------------------------------------

    def small(
        self, payload: Any, task: Task, batch: int = 0, at: tuple[int, int] = (0, 1)
    ) -> bytes | None:
        """Return the packet of one small item; None if anything else must be written with it.

        The arguments mean the same as those of `stage_items`.
        """
        function, style = task
        number, kind, prefix = function.number, layout.ITEMS, b""
        if self.unsent or self._freed:
            return None
        if number not in self._known:
            if type(function) is not Within or function.real.number not in self._known:
                return None
            number = function.real.number
            if number not in self._traced or self._looks_at_traces():
                self._traced.add(number)
                kind, prefix = layout.WITHIN, function.prefix
        if type(payload) is Pickled:
            payload, style = payload.packed, style | layout.PICKLED
            if type(payload) is not bytes:
                return None
        stream = dumps([payload], PROTOCOL)
        size = len(stream)
        if size + len(prefix) > INLINE:
            return None
        index, attempt = at
        head = kind, style, min(attempt, layout.MANY_ATTEMPTS), number
        return PACKET.pack(*head, batch, 1, size, 0, index) + prefix + stream

    def stage_items(
        self,
        items: Sequence[Any],
        task: Task,
        batch: int,
        flags: int = 0,
        at: tuple[int, int] = (0, 1),
    ) -> None:
        """Stage items, after the function that they are for if it is new to the worker.

        Args:
            items: the arguments of each.
            task: the function, and how it is called.
            batch: the number under which they can be taken back; 0 for a call's one item.
            flags: those of the request, besides what `task` says.
            at: the index of the first of them, and which attempt this is.
        """
        function, kind, prefix = task.function, layout.ITEMS, b""
        if function.number not in self._known:
            if type(function) is Within:
                kind, prefix = layout.WITHIN, function.prefix
            function = function.real
            self._introduce(function)
        flags |= task.style
        if Pickled in set(map(type, items)):
            flags |= layout.PICKLED
            items = [item.packed if type(item) is Pickled else (item,) for item in items]
        elif type(items) is not list:  # the worker takes it apart
            items = list(items)
        buffers: list[memoryview] = []
        stream = dumps(items, PROTOCOL, buffer_callback=collector(buffers, LARGE))
        index, attempt = at
        attempt = min(attempt, layout.MANY_ATTEMPTS)
        head = kind, flags, attempt, function.number, batch, len(items)
        self._stage(head, [stream, *buffers], index, prefix)

    # -- what the worker knows -------------------------------------------------------------------

    def stage_freed(self, names: deque[str]) -> None:
        """Stage the news that what is named was freed, and empty the names.

        Functions may refer to it, so all are sent again when they are needed.
        """
        self._forget_functions()
        while names:
            name = names.popleft().encode()
            header = PACKET.pack(layout.UNSHARE, 0, 0, 0, 0, 0, len(name), 0, 0)
            self.unsent.append(header + name)

    def stage_rest(self) -> None:
        """Stage that the worker is to let the system have the shared memory that is free."""
        if self._freed:
            self._return_places()
        self.unsent.append(PACKET.pack(layout.REST, 0, 0, 0, 0, 0, 0, 0, 0))

    def _stage_path(self) -> None:
        """A new function may come from where this process has begun to look for modules lately."""
        known, path = self._path, [entry for entry in sys.path if isinstance(entry, str)]
        first = next((at for at, entry in enumerate(path) if entry in known), 0)
        before = [_absolute(entry) for entry in path[:first]]
        behind = [_absolute(entry) for entry in path[first:] if entry not in known]
        if before or behind:
            known.update(path)
            self._stage((layout.PATH, 0, 0, 0, 0, 0), [dumps((before, behind), PROTOCOL)])

    def _introduce(self, function: Function) -> None:
        """Stage a function, if it is new to the worker."""
        if function.number not in self._known:
            self._stage_path()
            self._remember(function)
            self._stage((layout.DEFINE, 0, 0, function.number, 0, 1), function.parts)

    def _remember(self, function: Function) -> None:
        """The worker is about to know this function, and may have to forget the others."""
        self._functions_size += function.size
        if len(self._known) > FUNCTIONS or self._functions_size > FUNCTIONS_SIZE:
            self._forget_functions()
            self._functions_size = function.size
        self._known.add(function.number)

    def _forget_functions(self) -> None:
        self.unsent.append(PACKET.pack(layout.FORGET, 0, 0, 0, 0, 0, 0, 0, 0))
        self._known = {HANDLER.number}
        self._functions_size = 0

    # -- packets ---------------------------------------------------------------------------------

    def read_back(self, requests: int) -> set[int]:
        """Read from the pipe what the worker has not read yet; the numbers of batches among it.

        What is no batch is put down to be written again.
        """
        taken: set[int] = set()
        kept: list[bytes] = []
        while requests >= 0 and not self.sent_long:
            try:
                packet = os.read(requests, layout.PACKET_LIMIT)
            except BlockingIOError:
                break
            kind, flags, _, _, batch, _, size, offset, _ = PACKET.unpack_from(packet)
            if kind not in (layout.ITEMS, layout.WITHIN):
                kept.append(packet)
                continue
            taken.add(batch)
            if flags & layout.AWAY:
                self._inbox.free(offset, size)
        self.unsent.extendleft(reversed(kept))
        return taken

    def _stage(
        self, head: tuple[int, ...], parts: list[Any], index: int = 0, prefix: bytes = b""
    ) -> None:
        """Stage one request: in a packet or, if it is large, beside it.

        `head` is its kind, flags, attempt, function, batch and number of items; `prefix` is in the
        packet in any case.
        """
        if self._freed:
            self._return_places()
        size = len(parts[0])
        if size <= INLINE - len(prefix) and len(parts) == 1:
            self.unsent.append(PACKET.pack(*head, size, 0, index) + prefix + parts[0])
            return
        try:
            offset, size = self._inbox.place(parts)
        except OSError as error:
            self._stage_long(error, head, join(parts), index, prefix)
        else:
            head = _flagged(head, layout.AWAY)
            self.unsent.append(PACKET.pack(*head, size, offset, index) + prefix)

    def _stage_long(
        self, error: OSError, head: tuple[int, ...], joined: list[Any], index: int, prefix: bytes
    ) -> None:
        log.warning("no shared memory for a large message (%s): it goes through the pipe", error)
        self.sent_long = True
        body = memoryview(b"".join(joined))
        self.unsent.append(PACKET.pack(*_flagged(head, layout.LONG), len(body), 0, index) + prefix)
        for begin in range(0, len(body), layout.PACKET_LIMIT):
            self.unsent.append(body[begin : begin + layout.PACKET_LIMIT])

    def _return_places(self) -> None:
        """Tell the worker which places in its shared memory are not used any more."""
        places = self._freed
        while places:
            some = [places.pop() for _ in range(min(len(places), INLINE // PLACE.size))]
            header = PACKET.pack(layout.FREED, 0, 0, 0, 0, len(some), 0, 0, 0)
            self.unsent.append(header + b"".join(PLACE.pack(*place) for place in some))


def _flagged(head: tuple[int, ...], flag: int) -> tuple[int, ...]:
    """The head of a request with a further flag."""
    kind, flags, *rest = head
    return kind, flags | flag, *rest


def _absolute(path: str) -> str:
    """The path from the root; as it is, if the current folder is gone."""
    try:
        return os.path.abspath(path)
    except OSError:
        return path
