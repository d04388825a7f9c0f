"""The journal: answers that a worker has not sent yet, in shared memory that survives its death.

The worker writes the `Journal`. If it dies, or is delayed by a slow item, the pool reads the same
memory through a `JournalView`. So the order of any two stores in this file matters: at whichever
instruction the worker dies, the view must find every finished answer, and know whether the next
item has begun.

Answers are stored in two ways. *One by one*: the number of an item is stored in STARTED before it
begins; its answer is appended, and then LENGTH updated. *In a run* of many fast items, only the
answers themselves are stored. In a column of numbers, each cell is BLANK until its item has ended,
LENGTH is the size of the whole column, and END is the number of the run's last item. There, the
first item without an answer counts as begun. If the worker dies in the moment before that item
begins, the item is lost without reason, but no item is ever run twice.
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
"""The sizes of marshalled None, True, False, 32-bit int and float; other types have a length."""
_NAN = 0x7FF8 << 48
"""The bits that make a float a NaN; the 51 bits below are arbitrary."""


class Journal:
    """The worker's side, which writes."""

    def __init__(self, shared: int, answers: int) -> None:
        """Begin with an empty journal.

        Args:
            shared: the descriptor of the shared memory.
            answers: the descriptor of the pipe that answers are sent through.
        """
        memory = memoryview(mmap.mmap(shared, layout.ARENA_BASE))
        self.page = memory[: layout.PAGE_SIZE].cast("Q")
        self.marks = memory[layout.PAGE_SIZE : layout.JOURNAL_AT]
        self.memory = memory[layout.JOURNAL_AT :]
        self.page[layout.KIND] = self.kind = layout.PLAIN
        # All 64-bit numbers are possible answers, so the value of a blank cell is random: an item
        # that happened to return it would seem not to have ended.
        self.blank = _NAN | int.from_bytes(os.urandom(6), "little") | 1
        self.page[layout.BLANK] = self.blank
        self.length = 0
        self.count = 0
        self.pace = 0
        """The nanoseconds per item to send with the next frame; 0 for no measurement."""
        self._run: tuple[Any, memoryview] | None = None
        """The views through which a run stores its answers; None without a run, or to end it."""
        self._thread = get_ident()
        self._answers = answers
        self._sending = allocate_lock()

    # -- answers one by one ----------------------------------------------------------------------

    def append(self, kind: int, body: bytes) -> None:
        """Append an answer, sending the journal first if necessary; `body` must fit into it."""
        if self.count and (kind != self.kind or self.length + len(body) > len(self.memory)):
            self.flush()
        if kind != self.kind:
            self.page[layout.KIND] = self.kind = kind
        end = self.length + len(body)
        self.memory[self.length : end] = body
        self.page[layout.LENGTH] = self.length = end
        self.count += 1

    def flush(self) -> None:
        """Send the answers in the journal, and empty it."""
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
        """Begin a run of `items` items, after all earlier ones were answered.

        Returns:
            the views in which the caller stores the answers: the cells of a column, or the bytes of
            SHORT values; and a cell for the LENGTH of the latter. Once the run must end before its
            next item, storing in them raises `ValueError`.
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
        """End a run of which `answered` items were answered, and `begun` have begun."""
        self._release_run()
        page = self.page
        page[layout.STARTED] = page[layout.BASE] + begun
        self.length = page[layout.LENGTH] if self.kind == layout.SHORT else 8 * answered
        self.count = answered
        self.flush()
        page[layout.LENGTH] = self.length = 0
        page[layout.END] = 0

    def is_blank(self, cell: int) -> bool:
        """Return whether a cell of a run's column has no answer."""
        word = self.memory[8 * cell : 8 * cell + 8]
        return int.from_bytes(word, "little") == self.blank

    @property
    def is_cut_short(self) -> bool:
        """True if there is no run, or it must end before its next item."""
        return self._run is None

    def cut_short(self) -> int:
        """Have the run end with the current item, for example because that has printed something.

        Returns:
            the number of the current item, which is also stored in STARTED. If another thread calls
            this, it is not stored, since further items may begin meanwhile.
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
        """Write one frame; may be called on any thread."""
        size = sum(memoryview(body).nbytes for body in bodies)
        with self._sending:
            _write(self._answers, FRAME.pack(kind, count, size) + (bodies[0] if bodies else b""))
            for body in bodies[1:]:
                _write(self._answers, body)

    def tell(self, kind: int, body: bytes) -> None:
        """Write a frame about the current item that is not its answer."""
        self.send(kind, self.cut_short() & 0xFFFFFFFF, body)

    def disown(self) -> None:
        """In a forked child: redirect all writes to private memory and to /dev/null."""
        self._release_run()
        self.blank = 0  # like all cells of the new memory
        self._sending = allocate_lock()
        self.page = memoryview(bytearray(layout.PAGE_SIZE)).cast("Q")
        self.memory = memoryview(bytearray(len(self.memory)))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._answers, inheritable=False)
        os.close(null)


class JournalView:
    """The pool's side, which reads unsent answers and recalls items."""

    def __init__(self, shared: int) -> None:
        self._mapping = mmap.mmap(shared, layout.ARENA_BASE)
        memory = memoryview(self._mapping)
        self.page = memory[: layout.PAGE_SIZE].cast("Q")
        self._marks = memory[layout.PAGE_SIZE : layout.JOURNAL_AT]
        self._memory = memory[layout.JOURNAL_AT :]

    def begun(self) -> int:
        """Return the number of the last item that has begun."""
        return _begun(self.page, self._memory)

    def peek(self, begin: int, base: int) -> tuple[Frame, int] | None:
        """Return the answers in the journal from byte `begin` on.

        Args:
            begin: where to start, as the answers before it are known.
            base: the number of items answered before the first one in the journal, as the pool
                counts them.

        Returns:
            the answers as a frame, and the byte where they end; None if there are none. They are
            valid only if `is_still` is true after the pipe was read, since the worker may have sent
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
        """Return whether the journal still has answers of this kind, at least up to byte `end`.

        When the worker sends the journal, it first empties it, then updates BASE.
        """
        page = self.page
        still_there = page[layout.KIND] == kind and page[layout.LENGTH] >= end
        return still_there and page[layout.BASE] == base

    def ask_back(self, batch: int) -> None:
        """Ask the worker to begin no more items of a batch.

        The number is stored first: a worker that begins a run first marks its items, and then reads
        the number.
        """
        self.page[layout.WANTED] = batch
        self._marks[:] = _UNMARKED

    def close(self) -> None:
        """Unmap the memory."""
        self.page.release()
        self._marks.release()
        self._memory.release()
        self._mapping.close()


def _begun(page: memoryview, memory: memoryview) -> int:
    """Return the number of the last item that has begun, according to the journal."""
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
    """Return how many cells of a column have answers."""
    words = column.cast("Q").tolist()
    filled = len(words)
    while filled and words[filled - 1] == blank:
        filled -= 1
    return filled


def count_answers(kind: int, body: bytes) -> int:
    """Return the number of answers in the body of a frame."""
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
    """Return the size in bytes of the marshalled value at `at`."""
    kind = body[at : at + 1]
    size = _SHORT_SIZES.get(kind)
    if size is not None:
        return size
    length = int.from_bytes(body[at + 1 : at + 5], "little", signed=True)
    # For an int of more than 32 bits, the length counts 15-bit digits, and has the int's sign.
    return 5 + (2 * abs(length) if kind == b"l" else abs(length))


def _write(fd: int, data: Any) -> None:
    written = os.write(fd, data)
    if written < len(data):
        view = memoryview(data)[written:]
        while view:
            view = view[os.write(fd, view) :]
