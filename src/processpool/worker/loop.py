"""The loop of a Python worker: items in, answers out, and nothing lost if an item kills it.

Before an item begins, its number is written to the page that the pool shares; when it has ended,
its answer is written to the journal behind that page, and counted. Whatever happens to this process
then, the pool knows which item was running and has every answer before it. The journal is sent up
the pipe at least every few milliseconds, so a run of fast items costs one write; what waits there
for a slow item to end, the pool reads for itself.
"""

from __future__ import annotations

import mmap
import os
import sys
from _pickle import PickleBuffer
from _thread import allocate_lock
from time import monotonic_ns

from processpool.wire.python import layout
from processpool.wire.python.arena import Arena, Reader, join, split
from processpool.wire.python.layout import ENTRY, FRAME, LARGE, PACKET, PLACE
from processpool.wire.python.pickling import PROTOCOL, collector, dumps, loads, pack_answer
from processpool.wire.python.raised import RefusedError, describe
from processpool.worker.output import SLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processpool.worker.output import Output

FLUSH_AFTER, FEW, FLUSH_AT_LAST = 2_000_000, 3, 8_000_000
"""Nanoseconds that an answer waits to be sent, while others are made; as long as they are few, it
waits longer, since each time the pool wakes up takes CPU time from the workers."""
FIRST = 64
"""Items of each function that are asked what C code has printed, however fast they are."""
ALWAYS = 1 << 60
QUIET = 1_000_000
"""Nanoseconds between two requests from which on something may have been printed meanwhile."""
_SIMPLE = frozenset({int, float, bool, str, bytes, type(None)})
_PAGE_STARTED, _PAGE_LENGTH, _PAGE_WANTED = layout.STARTED, layout.LENGTH, layout.WANTED


class Journal:
    """Answers that were made and not sent yet, in memory that outlives this process."""

    def __init__(self, shared: int, answers: int) -> None:
        memory = memoryview(mmap.mmap(shared, layout.ARENA_BASE))
        self.page = memory[: layout.PAGE_SIZE].cast("Q")
        self.memory = memory[layout.PAGE_SIZE :]
        self.page[layout.KIND] = self.kind = layout.PLAIN
        self.length = 0
        self.count = 0
        self._answers = answers
        self._sending = allocate_lock()

    def append(self, kind: int, body: bytes) -> None:
        """Put an answer down; the body must fit into an empty journal."""
        if self.count and (kind != self.kind or self.length + len(body) > len(self.memory)):
            self.flush()
        if kind != self.kind:
            self.page[layout.KIND] = self.kind = kind
        end = self.length + len(body)
        self.memory[self.length : end] = body
        self.page[layout.LENGTH] = self.length = end
        self.count += 1

    def flush(self) -> None:
        """Send what is in the journal, and begin it anew."""
        if not self.count:
            return
        frame = FRAME.pack(self.kind, self.count, self.length) + self.memory[: self.length]
        with self._sending:
            _write(self._answers, frame)
        self.page[layout.LENGTH] = self.length = 0
        self.page[layout.BASE] += self.count
        self.count = 0

    def send(self, kind: int, count: int, *bodies: Any) -> None:
        """Write one frame; from any thread."""
        size = sum(memoryview(body).nbytes for body in bodies)
        with self._sending:
            _write(self._answers, FRAME.pack(kind, count, size) + (bodies[0] if bodies else b""))
            for body in bodies[1:]:
                _write(self._answers, body)

    def tell(self, kind: int, body: bytes) -> None:
        """Write a frame that is no answer, but comes from the item that runs."""
        self.send(kind, self.page[layout.STARTED] & 0xFFFFFFFF, body)

    def disown(self) -> None:
        """In a fork: what is put down here goes nowhere."""
        self._sending = allocate_lock()
        self.page = memoryview(bytearray(layout.PAGE_SIZE)).cast("Q")
        self.memory = memoryview(bytearray(len(self.memory)))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._answers, inheritable=False)
        os.close(null)


class PythonWorker:
    """One worker: the requests' pipe, the journal, and the functions that it knows."""

    def __init__(self, requests: int, journal: Journal, shared: int, outbox: int) -> None:
        self.journal = journal
        self.functions: dict[int, Callable[..., Any]] = {}
        self.output: Output
        self.before_items: Callable[[], None] = _nothing
        """Called before the items of a request."""
        self._requests = requests
        self._calls: dict[tuple[int, int], Callable[[Any], Any]] = {}
        """(function, style) → the function of one argument that an item is."""
        self._ended_at = 0
        """When the last request was done."""
        self._asked: dict[int, int] = {}
        """Function → how many more of its items are asked what C code has printed."""
        self._inbox = Reader(shared)
        self._outbox = Arena(outbox, 0)
        self._started = 0
        self._batch = 0
        """The number of the batch whose items are served; 0 for a call's one item."""
        os.register_at_fork(after_in_child=self._disown)

    def _disown(self) -> None:
        """In a fork that an item made: never answer in the worker's stead."""
        self.journal.disown()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, self._requests, inheritable=False)
        os.close(null)
        self.output.echo = None
        self.output.flags[0] = True  # so that its item, if it returns, comes to `_reply`
        self._reply = _leave  # type: ignore[method-assign]

    def run(self) -> None:
        """Answer requests until the pool says to exit, or is gone."""
        read, requests = os.read, self._requests
        while packet := read(requests, layout.PACKET_LIMIT):
            kind, flags, function, batch, count, size, offset = PACKET.unpack_from(packet)
            place = (flags, packet[PACKET.size :], size, offset)
            if kind == layout.ITEMS:
                self._batch = batch
                self._serve(function, flags & 15, count, place)
            elif kind == layout.DEFINE:
                self.functions[function] = _load_function(self._parts(*place))
                self._calls.clear()
            elif kind == layout.FREED:
                for at in range(PACKET.size, len(packet), PLACE.size):
                    self._outbox.free(*PLACE.unpack_from(packet, at))
            elif kind == layout.FORGET:
                self._forget()
            elif kind == layout.UNSHARE:
                _release(packet[PACKET.size :].decode())
            elif kind == layout.PATH:
                before, behind = loads(self._parts(*place)[0])
                sys.path[:] = [*before, *sys.path, *behind]
            else:
                return

    def _forget(self) -> None:
        """Keep no function but the handler."""
        self._asked.clear()
        self._calls.clear()
        for number in [number for number in self.functions if number]:
            del self.functions[number]

    def _parts(self, flags: int, payload: bytes, size: int, offset: int) -> list[Any]:
        """The parts of a request: the pickle first, then the buffers that it refers to."""
        if flags & layout.AWAY:
            return list(self._inbox.read(offset, size))
        if not flags & layout.LONG:
            return [payload]
        pieces = []
        while size:
            piece = os.read(self._requests, layout.PACKET_LIMIT)
            pieces.append(piece)
            size -= len(piece)
            if not piece:
                raise EOFError("the pool is gone")
        return list(split(memoryview(b"".join(pieces))))

    def _serve(self, function: int, style: int, count: int, place: tuple[Any, ...]) -> None:
        """One request: its items, answered one after another."""
        if self.output.flags[0] or monotonic_ns() - self._ended_at > QUIET:
            self.output.spill()
        self.output.checked = self._started
        page = self.journal.page
        page[layout.LOADING] = 1
        try:
            parts = self._parts(*place)
            items = loads(parts[0], buffers=parts[1:])
            del parts
        except BaseException as error:
            page[layout.LOADING] = 0
            self._refuse(error, count)
            return
        page[layout.LOADING] = 0
        self.before_items()
        output, asked = self.output, self._asked.get(function, FIRST)
        output.flags[1] = -1 if asked > 0 else SLOW
        output.echo = self._echo if style & layout.ECHOED else None
        call = self._calls.get((function, style))
        if call is None:
            call = self._calls[function, style] = _spread(self.functions[function], style)
        self._answer_all(call, items)
        if output.spill() or output.surprised:
            output.surprised = False
            asked = ALWAYS
        self._asked[function] = asked - count
        self.journal.flush()
        self._return_places()
        self._ended_at = monotonic_ns()

    def _echo(self, printed: bytes) -> None:
        self.journal.tell(layout.ECHO, printed)

    def _refuse(self, error: BaseException, count: int) -> None:
        """The request cannot be unpickled: one item's fault, found by sending them singly."""
        if count > 1:
            self.journal.send(layout.SPLIT, 0)
            return
        self._started += 1
        self.journal.page[layout.STARTED] = self._started
        self._reply(None, describe(error, globals()))
        self.journal.flush()

    def _answer_all(self, call: Callable[[Any], Any], items: list[Any]) -> None:
        journal, flags, clock = self.journal, self.output.flags, monotonic_ns
        page, memory, limit = journal.page, journal.memory, len(journal.memory)
        started, batch = self._started, self._batch or -1
        flushed_at = before = clock()
        items.reverse()  # taken from the end, so that no item outlives its call
        while items:
            self._started = started = started + 1
            page[_PAGE_STARTED] = started
            if page[_PAGE_WANTED] == batch:
                self._give_back(batch)
                return
            try:
                value = call(items.pop())
            except BaseException as error:
                self._reply(None, describe(error, globals()))
                now = clock()
            else:
                now = clock()
                if flags[0] or (now - before > flags[1] and self._has_printed()):
                    self._reply(value, None)
                elif type(value) in _SIMPLE:
                    body = dumps(value, 3)[2:-1]
                    end = journal.length + len(body)
                    if end <= limit and journal.kind == 1:
                        memory[journal.length : end] = body
                        page[_PAGE_LENGTH] = journal.length = end
                        journal.count += 1
                    else:
                        self._value(value, body)
                else:
                    self._value(value, None)
                del value
            waited = now - flushed_at
            if waited > FLUSH_AFTER and (journal.count > FEW or waited > FLUSH_AT_LAST):
                journal.flush()
                now = flushed_at = clock()
            before = now

    def _give_back(self, batch: int) -> None:
        """The pool wants what has not begun, the item among it that was about to."""
        self._started -= 1
        self.journal.page[_PAGE_STARTED] = self._started
        self.journal.flush()
        self.journal.send(layout.BACK, batch)

    def _has_printed(self) -> bool:
        """Whether the item that has just ended has printed something, by whatever means."""
        self.output.own(self._started)
        return self.output.any()

    def _value(self, value: Any, body: bytes | None) -> None:
        """Answer with a value that is not simple, or whose simple form did not fit."""
        if body is not None and len(body) <= len(self.journal.memory):
            self.journal.append(layout.PLAIN, body)
            return
        try:
            parts = pack_answer(value)
        except BaseException as error:
            self._reply(None, _unsendable(error, value))
        else:
            self._entry(0, parts)

    def _reply(self, value: Any, raised: Any) -> None:
        """Answer with an error, or with a value and what was printed."""
        self.output.own(self._started)
        stdout, stderr = self.output.take()
        sealed = None
        if raised is None:
            try:
                sealed = [PickleBuffer(part) for part in pack_answer(value)]
            except BaseException as error:
                raised = _unsendable(error, value)
        large: list[Any] = []
        reply = (sealed, raised, stdout, stderr)
        stream = dumps(reply, PROTOCOL, buffer_callback=collector(large, LARGE))
        self._entry(layout.REPLY, [stream, *large])

    def _entry(self, flags: int, parts: list[Any]) -> None:
        """Put one answer down among entries; in shared memory, if it is large."""
        if len(parts) == 1 and len(parts[0]) < LARGE:
            self.journal.append(layout.ENTRIES, ENTRY.pack(flags, len(parts[0])) + parts[0])
            return
        try:
            place = self._outbox.place(parts)
        except OSError:
            self._send_long(flags | layout.LONG, parts)
        else:
            entry = ENTRY.pack(flags | layout.AWAY, PLACE.size) + PLACE.pack(*place)
            self.journal.append(layout.ENTRIES, entry)

    def _send_long(self, flags: int, parts: list[Any]) -> None:
        """No shared memory is left: a large answer goes up the pipe as it is."""
        self.journal.flush()
        self.journal.send(layout.ENTRIES, 1, ENTRY.pack(flags, 0), *join(parts))
        self.journal.page[layout.BASE] += 1

    def _return_places(self) -> None:
        """Tell the pool which places in its shared memory nobody looks at any more."""
        freed = self._inbox.freed
        if freed:
            places = [freed.pop() for _ in range(len(freed))]
            self.journal.send(layout.PLACES, 0, b"".join(PLACE.pack(*place) for place in places))


def _spread(function: Callable[..., Any], style: int) -> Callable[[Any], Any]:
    """The function of one argument that an item is."""
    call: Callable[[Any], Any] = function
    if style & 3 == layout.STAR:
        call = lambda item: function(*item)  # noqa: E731
    elif style & 3 == layout.FULL:
        call = lambda item: function(*item[0], **item[1])  # noqa: E731
    if not style & layout.CHECKED:
        return call

    def checked(item: tuple[bool, Any]) -> Any:
        if not item[0]:
            raise RefusedError(item[1])
        return call(item[1])

    return checked


def _unsendable(error: BaseException, value: Any) -> Any:
    try:
        from processpool.wire.python.unpicklable import find

        place = find(value)
        where = f": {place.strip()}" if place else ""
        kind = type(value).__qualname__
        error.add_note(f"The result, of type {kind}, cannot be sent back{where}.")
    except Exception:
        pass  # it is of a class of the user's, which need not take notes
    return describe(error, globals())


def _leave(value: Any, raised: Any) -> None:
    """End a fork that has returned from the item which made it."""
    if raised is None or (raised[1] == "SystemExit" and raised[2] in ("", "0", "None")):
        os._exit(0)
    os.write(2, raised[3].encode("utf-8", "replace"))
    os._exit(1)


def _release(name: str) -> None:
    """Something shared was freed; if it was ever used here."""
    sharing = sys.modules.get("processpool.worker.shared_objects")
    if sharing is not None:
        sharing.release(name)


def _load_function(parts: list[Any]) -> Callable[..., Any]:
    """The function; or, if it cannot be loaded, one that says why."""
    try:
        function: Callable[..., Any] = loads(parts[0], buffers=parts[1:])
    except BaseException as error:
        trouble = error

        def fail(*_: Any, **__: Any) -> Any:
            raise trouble

        return fail
    return function


def _write(fd: int, data: Any) -> None:
    written = os.write(fd, data)
    if written < len(data):
        view = memoryview(data)[written:]
        while view:
            view = view[os.write(fd, view) :]


def _nothing() -> None:
    """Nothing is to be done before the items."""
