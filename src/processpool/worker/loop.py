"""The loop of a Python worker: requests in, answers out, and nothing lost in a crash.

Each answer is in the journal, in memory shared with the pool, before the next item begins. Whatever
then happens to this process, the pool knows which item was running, and has all answers before it.
The journal is sent up the pipe at the end of each request and, between slow items, every few
milliseconds; answers that are held up there by a slow item are read by the pool itself.
"""

from __future__ import annotations

import os
import sys
from time import monotonic_ns

from processpool.wire.python import layout
from processpool.wire.python.arena import Reader, split
from processpool.wire.python.layout import PACKET, PLACE
from processpool.wire.python.pickling import loads
from processpool.wire.python.raised import describe
from processpool.worker.answers import Answers
from processpool.worker.items import ALWAYS, Habit, Items
from processpool.worker.output import SLOW
from processpool.worker.spans import Spans, ends_with_reply, split_carrier
from processpool.worker.streaming import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processpool.wire.python.journal import Journal
    from processpool.worker.output import Output

_STYLE = 15 | layout.STREAMED
"""The flags of a request that say how items are called."""
QUIET = 1_000_000
"""Nanoseconds between two requests from which on to check for output in between."""


class PythonWorker:
    """One worker: the requests' pipe, the journal, and the functions that it knows."""

    def __init__(self, requests: int, journal: Journal, shared: int, outbox: int) -> None:
        self.journal = journal
        self.functions: dict[int, Callable[..., Any]] = {}
        self.before_items: Callable[[], None] = _nothing
        """Called before the items of a request."""
        self._requests = requests
        self._habits: dict[tuple[int, int], Habit] = {}
        """(function, style) → what its items call."""
        self._ended_at = 0
        """When the last request was done."""
        self._inbox = Reader(shared)
        self._answers = Answers(journal, outbox)
        self._items = Items(journal, self._answers)
        self._streams = Streams(journal, self._answers)
        self._spans = Spans(self._items.current, ends_with_reply(self._answers), self._note_tracing)
        os.register_at_fork(after_in_child=self._disown)

    @property
    def output(self) -> Output:
        """What catches what items print."""
        return self._answers.output

    @output.setter
    def output(self, output: Output) -> None:
        self._answers.output = output

    def current(self) -> tuple[int | None, int | None]:
        """The index and the attempt of the item that is running."""
        return self._items.current()

    def _note_tracing(self) -> None:
        """Tell the pool that items look at traces, or may."""
        self.journal.page[layout.TRACING] = 1

    def _disown(self) -> None:
        """In a fork that an item made: never answer in place of the worker."""
        self.journal.disown()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, self._requests, inheritable=False)
        os.close(null)
        self.output.echo = None
        self.output.flags[0] = True  # so that its item, if it returns, comes to `reply`
        self._answers.disown()
        self._items.disown()

    def run(self) -> None:
        """Answer requests until the pool says to exit, or is gone."""
        read, requests = os.read, self._requests
        while packet := read(requests, layout.PACKET_LIMIT):
            kind, flags, attempt, function, batch, count, size, offset, index = PACKET.unpack_from(
                packet
            )
            place = (flags, packet[PACKET.size :], size, offset)
            if kind == layout.ITEMS:
                self._items.at = index, attempt
                self._serve(function, flags, batch, count, place)
                if self._items.retired:
                    return
            elif kind == layout.DEFINE:
                self.functions[function] = _load_function(self._parts(*place))
                self._habits = {
                    key: kept for key, kept in self._habits.items() if key[0] != function
                }
            elif kind == layout.FREED:
                for at in range(PACKET.size, len(packet), PLACE.size):
                    self._answers.outbox.free(*PLACE.unpack_from(packet, at))
            elif kind == layout.FORGET:
                self._forget()
            elif kind == layout.UNSHARE:
                _release(packet[PACKET.size :].decode())
            elif kind == layout.PATH:
                before, behind = loads(self._parts(*place)[0])
                sys.path[:] = [*before, *sys.path, *behind]
            elif kind == layout.REST:
                self._answers.outbox.rest()
                self._return_places()
            elif kind == layout.WITHIN:
                self._items.at = index, attempt
                carrier, payload = split_carrier(packet)
                with self._spans.within(carrier, index, self.functions.get(function)):
                    self._serve(function, flags, batch, count, (flags, payload, size, offset))
                if self._items.retired:
                    return
            else:
                return

    def _forget(self) -> None:
        """Keep no function but the handler."""
        self._habits.clear()
        for number in [number for number in self.functions if number]:
            del self.functions[number]

    def _parts(self, flags: int, payload: bytes, size: int, offset: int) -> list[Any]:
        """Return the parts of a request: the pickle, then the buffers that it refers to."""
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

    def _serve(
        self, function: int, flags: int, batch: int, count: int, place: tuple[Any, ...]
    ) -> None:
        """Answer the items of one request, one after another."""
        began = monotonic_ns()
        if self.output.flags[0] or began - self._ended_at > QUIET:
            self.output.spill()
        self.output.checked = self._items.started
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
        output, habit = self.output, self._habit(function, flags & _STYLE)
        output.flags[1] = -1 if habit.asked > 0 else SLOW
        output.echo = self._echo if flags & layout.ECHOED else None
        self._items.answer(habit, items, batch, run=bool(flags & layout.RUN))
        if output.spill() or output.surprised:
            output.surprised = False
            habit.asked = ALWAYS
        self._ended_at = monotonic_ns()
        habit.learn(count, self._ended_at - began)
        self.journal.pace = habit.each if batch else 0
        self._return_places()  # first, so that whoever reads the answer knows of them
        self.journal.flush()

    def _habit(self, function: int, style: int) -> Habit:
        habit = self._habits.get((function, style))
        if habit is None:
            call = self.functions[function]
            drain = self._streams.drain if style & layout.STREAMED else None
            habit = self._habits[function, style] = Habit(call, style, drain)
        return habit

    def _echo(self, printed: bytes) -> None:
        self.journal.tell(layout.ECHO, printed)

    def _refuse(self, error: BaseException, count: int) -> None:
        """Refuse a request that cannot be unpickled; have items sent singly to find the culprit."""
        if count > 1:
            self.journal.send(layout.SPLIT, 0)
            return
        self._items.started += 1
        self.journal.page[layout.STARTED] = self._items.started
        self._answers.reply(None, describe(error, globals()))
        self.journal.flush()

    def _return_places(self) -> None:
        """Tell the pool which places in its shared memory are not used any more."""
        freed = self._inbox.freed
        if freed:
            places = [freed.pop() for _ in range(len(freed))]
            self.journal.send(layout.PLACES, 0, b"".join(PLACE.pack(*place) for place in places))


def _release(name: str) -> None:
    """Release something shared that was freed, if it was ever used here."""
    sharing = sys.modules.get("processpool.worker.shared_objects")
    if sharing is not None:
        sharing.release(name)


def _load_function(parts: list[Any]) -> Callable[..., Any]:
    """Return the function; or, if it cannot be loaded, one that raises why."""
    try:
        function: Callable[..., Any] = loads(parts[0], buffers=parts[1:])
    except BaseException as error:
        trouble = error

        def fail(*_: Any, **__: Any) -> Any:
            raise trouble

        return fail
    return function


def _nothing() -> None:
    """Do nothing before the items."""
