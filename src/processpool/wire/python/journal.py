"""Answers that a worker has not sent yet, in memory that outlives it: both sides of it.

The worker writes the `Journal`. If it dies, or is held up by a slow item, the pool reads the same
memory through a `JournalView`. So the order of any two stores matters in this file: at whatever
instruction the worker stops forever, the view must find each finished answer, and know whether the
next item has begun.

Answers come in two ways. *One by one*: the number of an item is stored in STARTED before it begins,
its answer is appended, and LENGTH says how far the answers reach. *In a run* of many fast items
nothing is stored but the answers themselves. In a column of numbers each cell is BLANK until its
item has ended, and LENGTH is the end of the column from the beginning; END is the last item of the
run. Then the first item without an answer counts as begun, which may be true a moment too early:
that costs an item which was about to begin when its worker was killed, and never runs one twice.
"""

from __future__ import annotations

import mmap
import os
from _pickle import loads
from _thread import allocate_lock, get_ident

from processpool.wire.python import layout
from processpool.wire.python.layout import ENTRY, FRAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processpool.wire.python.frames import Frame

_MARKED = b"\x01" * layout.MARKS_SIZE
_UNMARKED = bytes(layout.MARKS_SIZE)
_SHORT_SIZES = {b"N": 1, b"T": 1, b"F": 1, b"i": 5, b"g": 9}
"""Marshalled None, True, False, int of 32 bits, float: their bytes. Of others the size follows."""
_NAN = 0x7FF8 << 48
"""Bits of a float that make it a NaN; the 51 bits below are free."""


class Journal:
    """The journal as the worker writes it."""

    def __init__(self, shared: int, answers: int) -> None:
        """Begin empty.

        Args:
            shared: the file in memory that it lies in.
            answers: the pipe that what it holds is sent through.
        """
        memory = memoryview(mmap.mmap(shared, layout.ARENA_BASE))
        self.page = memory[: layout.PAGE_SIZE].cast("Q")
        self.marks = memory[layout.PAGE_SIZE : layout.JOURNAL_AT]
        self.memory = memory[layout.JOURNAL_AT :]
        self.page[layout.KIND] = self.kind = layout.PLAIN
        # Drawn by lot, so that no function returns it: an item that did would seem not to have
        # ended. All numbers of 64 bits are possible answers, and no other cell is free to tell.
        self.blank = _NAN | int.from_bytes(os.urandom(6), "little") | 1
        self.page[layout.BLANK] = self.blank
        self.length = 0
        self.count = 0
        self.pace = 0
        """Nanoseconds that an item took, for the next frame to tell; 0 for nothing."""
        self._run: tuple[Any, memoryview] | None = None
        """What answers of the run that is on are stored through; None once it is to end."""
        self._thread = get_ident()
        self._answers = answers
        self._sending = allocate_lock()

    # -- answers one by one ----------------------------------------------------------------------

    def append(self, kind: int, body: bytes) -> None:
        """Append an answer; the body must fit into an empty journal."""
        if self.count and (kind != self.kind or self.length + len(body) > len(self.memory)):
            self.flush()
        if kind != self.kind:
            self.page[layout.KIND] = self.kind = kind
        end = self.length + len(body)
        self.memory[self.length : end] = body
        self.page[layout.LENGTH] = self.length = end
        self.count += 1

    def flush(self) -> None:
        """Send what is in the journal, and empty it."""
        pace, self.pace = self.pace, 0
        if not self.count:
            return
        kind = self.kind | min(pace, layout.SLOWEST) << layout.PACE
        frame = FRAME.pack(kind, self.count, self.length) + self.memory[: self.length]
        with self._sending:
            _write(self._answers, frame)
        self.page[layout.LENGTH] = self.length = 0
        self.page[layout.BASE] += self.count
        self.count = 0

    # -- answers in a run ------------------------------------------------------------------------

    def begin_run(self, kind: int, items: int) -> tuple[Any, memoryview]:
        """All items so far are answered, and so many more begin from now on.

        Returns:
            where their answers are to be stored: the cells of a column, or the bytes of SHORT
            values; and one cell for the LENGTH that the latter reach. To store in any of them
            raises a ValueError once the run is to end before its next item.
        """
        self.flush()
        page = self.page
        page[layout.KIND] = self.kind = kind
        self.marks[:items] = _MARKED[:items]
        size = 0 if kind == layout.SHORT else 8 * items
        self.memory[:size] = self.blank.to_bytes(8, "little") * (size // 8)
        page[layout.END] = page[layout.BASE] + items
        page[layout.LENGTH] = size
        room = self.memory[:size].cast(layout.FORMATS[kind]) if size else self.memory[:]
        run: tuple[Any, memoryview] = (room, page[layout.LENGTH : layout.LENGTH + 1])
        self._run = run
        return run

    def end_run(self, answered: int, begun: int) -> None:
        """So many items of the run are answered, and so many have begun: one more, or as many."""
        self._release_run()
        page = self.page
        page[layout.STARTED] = page[layout.BASE] + begun
        self.length = page[layout.LENGTH] if self.kind == layout.SHORT else 8 * answered
        self.count = answered
        self.flush()
        page[layout.LENGTH] = self.length = 0
        page[layout.END] = 0

    def is_blank(self, cell: int) -> bool:
        """Of a run that is a column: True if this item of it has no answer."""
        word = self.memory[8 * cell : 8 * cell + 8]
        return int.from_bytes(word, "little") == self.blank

    @property
    def is_cut_short(self) -> bool:
        """True if no run is on, or if the one that is on is to end."""
        return self._run is None

    def cut_short(self) -> int:
        """End a run with the item that is running, before it is answered, as it is unusual.

        Returns:
            its number, which from then on is STARTED. Only if another thread than that of the items
            says so, it is not: the items go on meanwhile.
        """
        number: int = self.page[layout.STARTED]
        if self._run is not None:
            number = _begun(self.page, self.memory)
            if get_ident() == self._thread:
                self.page[layout.STARTED] = number
            self._release_run()
        return number

    def _release_run(self) -> None:
        run, self._run = self._run, None
        for view in run or ():
            view.release()

    # -- the pipe --------------------------------------------------------------------------------

    def send(self, kind: int, count: int, *bodies: Any) -> None:
        """Write one frame; from any thread."""
        size = sum(memoryview(body).nbytes for body in bodies)
        with self._sending:
            _write(self._answers, FRAME.pack(kind, count, size) + (bodies[0] if bodies else b""))
            for body in bodies[1:]:
                _write(self._answers, body)

    def tell(self, kind: int, body: bytes) -> None:
        """Write a frame that is no answer, but comes from the item that runs."""
        self.send(kind, self.cut_short() & 0xFFFFFFFF, body)

    def disown(self) -> None:
        """In a fork: have what is written here go nowhere."""
        self._release_run()
        self.blank = 0  # as all is in the memory that it gets
        self._sending = allocate_lock()
        self.page = memoryview(bytearray(layout.PAGE_SIZE)).cast("Q")
        self.memory = memoryview(bytearray(len(self.memory)))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._answers, inheritable=False)
        os.close(null)


class JournalView:
    """The pool's side: reads what the worker has not sent, and asks it to begin no more."""

    def __init__(self, shared: int) -> None:
        self._mapping = mmap.mmap(shared, layout.ARENA_BASE)
        memory = memoryview(self._mapping)
        self.page = memory[: layout.PAGE_SIZE].cast("Q")
        self._marks = memory[layout.PAGE_SIZE : layout.JOURNAL_AT]
        self._memory = memory[layout.JOURNAL_AT :]

    def begun(self) -> int:
        """The number of the last item that has begun."""
        return _begun(self.page, self._memory)

    def peek(self, begin: int, base: int) -> tuple[Frame, int] | None:
        """The answers in the journal, from this byte on.

        Args:
            begin: what is before it is known.
            base: how many items were answered before the first in the journal, by the pool's count.

        Returns:
            them, as the frame that they will be, and where they end; None if there are none. They
            hold only if `is_still` says so, when the pipe has been read: the worker may have sent
            them meanwhile.
        """
        page = self.page
        kind, end = page[layout.KIND], min(page[layout.LENGTH], len(self._memory))
        if kind in layout.FORMATS:
            end = 8 * _filled(self._memory[:end], page[layout.BLANK])
        body = bytes(self._memory[begin:end])
        if not body or not self.is_still(kind, end, base):
            return None
        return (kind, count_answers(kind, body), body), end

    def is_still(self, kind: int, end: int, base: int) -> bool:
        """True if the journal still holds answers of this kind, at least up to this byte.

        When it is sent, it is emptied, and then counted.
        """
        page = self.page
        still_there = page[layout.KIND] == kind and page[layout.LENGTH] >= end
        return still_there and page[layout.BASE] == base

    def ask_back(self, batch: int) -> None:
        """Have the worker begin nothing more of a batch.

        The number is stored first: who begins a run marks its items, and then looks at the number.
        """
        self.page[layout.WANTED] = batch
        self._marks[:] = _UNMARKED

    def close(self) -> None:
        """Let go of the memory."""
        self.page.release()
        self._marks.release()
        self._memory.release()
        self._mapping.close()


def _begun(page: memoryview, memory: memoryview) -> int:
    """The number of the last item that has begun, as far as the journal tells."""
    started: int = page[layout.STARTED]
    base, end = page[layout.BASE], page[layout.END]
    if end <= base:
        return started
    kind, length = page[layout.KIND], min(page[layout.LENGTH], len(memory))
    if kind in layout.FORMATS:
        answered = _filled(memory[:length], page[layout.BLANK])
    else:
        answered = count_answers(kind, bytes(memory[:length]))
    return max(started, min(base + answered + 1, end))


def _filled(column: memoryview, blank: int) -> int:
    """How many cells of a column have answers."""
    words = column.cast("Q").tolist()
    filled = len(words)
    while filled and words[filled - 1] == blank:
        filled -= 1
    return filled


def count_answers(kind: int, body: bytes) -> int:
    """How many answers there are in a frame."""
    if kind in layout.FORMATS:
        return len(body) // 8
    if kind == layout.PLAIN:
        return len(loads(layout.PLAIN_HEAD + body + layout.PLAIN_TAIL))
    count = at = 0
    while at < len(body):
        if kind == layout.SHORT:
            at += _size_of_short(body, at)
        else:
            at += ENTRY.size + ENTRY.unpack_from(body, at)[1]
        count += 1
    return count


def _size_of_short(body: bytes, at: int) -> int:
    """The bytes of the marshalled value that begins here."""
    kind = body[at : at + 1]
    size = _SHORT_SIZES.get(kind)
    if size is not None:
        return size
    length = int.from_bytes(body[at + 1 : at + 5], "little", signed=True)
    # Of an int beyond 32 bits it counts digits of 15 bits, negative for a negative number.
    return 5 + (2 * abs(length) if kind == b"l" else abs(length))


def _write(fd: int, data: Any) -> None:
    written = os.write(fd, data)
    if written < len(data):
        view = memoryview(data)[written:]
        while view:
            view = view[os.write(fd, view) :]
