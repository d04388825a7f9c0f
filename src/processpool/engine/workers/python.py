"""A Python worker as the pool sees it: packets down, frames up, and a journal that outlives it.

The formats are those of `wire.python.layout`. What the worker had answered, but not sent when it
died, is read from its journal; and its page says whether it had begun its next item.
"""

from __future__ import annotations

import logging
import mmap
import os
import sys
from collections import deque
from contextlib import suppress
from functools import partial
from math import isnan
from pickle import loads
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core.replies import Reply, Sealed, opened
from processpool.engine.workers.worker import Returned, Worker
from processpool.errors import ProtocolError
from processpool.system.interrupts import PICKLING, SHIELD
from processpool.system.text import printable
from processpool.wire.python import layout
from processpool.wire.python.arena import Arena, Reader, join, split
from processpool.wire.python.functions import HANDLER
from processpool.wire.python.layout import ENTRY, FRAME, PACKET, PLACE, READY, REPORT, SEQUENCE
from processpool.wire.python.pickling import PROTOCOL, dumps, pack
from processpool.wire.python.remote_errors import RemoteTraceback, add_note, ends_the_program
from processpool.wire.python.unpicklable import find

if TYPE_CHECKING:
    from processpool.core.jobs import Batch
    from processpool.system.process import Process
    from processpool.wire.python.functions import Function, Task
    from processpool.wire.python.sources import Sources

log = logging.getLogger("processpool")

_INLINE = layout.PACKET_LIMIT - PACKET.size
_EXIT = PACKET.pack(layout.EXIT, 0, 0, 0, 0, 0, 0)
_REFUSED = "processpool.wire.python.raised.RefusedError"
_STACK_GLOBAL = b"\x93"
"""The opcode without which a pickle of ours names no class or function, and so runs no code."""
_NO_VALUES = frozenset({Reply, Sealed})
_SIMPLE = frozenset({int, float, bool, str, bytes, type(None)})
_KEPT = 1024 * 1024
"""Bytes kept of what a lost item had printed."""
_LOOKS = 100
"""Attempts to read a report of progress that is written all the time."""
_READS = 64
"""Reads from the pipe of a worker that writes all the time, before others have their turn."""
FUNCTIONS = 256
FUNCTIONS_SIZE = 64 * 1024 * 1024
"""Functions that a worker keeps, and bytes of their pickles: beyond that it forgets them all."""

Frame = tuple[int, int, bytes]
"""kind, items, body."""


class Shared(NamedTuple):
    """What a worker and the pool share: descriptors of files in memory."""

    inbox: int
    outbox: int
    stdout: int
    stderr: int


class PythonWorker(Worker):
    """A worker that calls Python functions."""

    keeps_answers = True

    def __init__(
        self,
        number: int,
        process: Process,
        shared: Shared,
        inbox: Arena,
        ready: int,
        sources: Sources,
    ) -> None:
        super().__init__(number, process, ready)
        self._sources = sources
        self.probed = False
        self.lingers = 0
        self._shared = shared
        self._inbox = inbox
        self._outbox = Reader(shared.outbox)
        self._mapping = mmap.mmap(shared.inbox, layout.ARENA_BASE)
        memory = memoryview(self._mapping)
        self._page = memory[: layout.PAGE_SIZE].cast("Q")
        self._journal = memory[layout.PAGE_SIZE :]
        self._known = {HANDLER.number}
        self._functions_size = 0
        self._path = {*sys.path}
        self._batches: deque[tuple[int, Batch]] = deque()
        self._last_batch = 0
        self._answered = 0
        """Items of the first batch that were answered."""
        self._refused: dict[int, BaseException] = {}
        """Items that could not be sent, by number: why."""
        self._buffer = bytearray()
        self._wanted = 0
        """Bytes until the frame that has begun is whole."""
        self._received = 0
        self._peeked = (0, 0)
        """Answers, and their bytes, that were read from the journal and will come once more."""
        self._sent_long = False
        self._fault: ProtocolError | None = None

    def told(self, what: bytes) -> bool:
        """It is ready, and says which files of the user's it has read; True once it has said all.

        Raises:
            Exception: that is not what it says.
        """
        self._buffer += what
        if len(self._buffer) < READY.size:
            return False
        end = READY.size + READY.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return False
        said = self._buffer[READY.size : end]
        self._buffer.clear()
        for path, *mark, named in loads(said):
            self._sources.read_at(path, tuple(mark), named=named)
        return True

    # -- writing ---------------------------------------------------------------------------------

    def _stage_batch(self, batch: Batch) -> None:
        number = self._last_batch + 1
        self._stage_items(list(batch.payloads), batch.job.task, number & 0xFFFFFFFF)
        self._batches.append((number, batch))
        self._last_batch = number

    def _stage_freed(self) -> None:
        """Functions may refer to what was freed, so all are sent anew when they are needed."""
        self._forget_functions()
        while self.freed_shares:
            name = self.freed_shares.popleft().encode()
            self._unsent.append(PACKET.pack(layout.UNSHARE, 0, 0, 0, 0, len(name), 0) + name)

    def _stage_one(self, payload: Any, task: Task | None) -> None:
        assert task is not None
        self._stage_items([payload], task, 0)

    def small_request(self, payload: Any, task: Task | None) -> bytes | None:
        """The packet of an item whose arguments are simple and small; None for others."""
        assert task is not None
        function, style = task
        args, keywords = payload
        if keywords or self._unsent or self._outbox.freed or function.number not in self._known:
            return None
        for argument in args:
            if type(argument) not in _SIMPLE:
                return None
        stream = dumps([payload], PROTOCOL)
        size = len(stream)
        if size > _INLINE:
            return None
        return PACKET.pack(layout.ITEMS, style, function.number, 0, 1, size, 0) + stream

    def _stage_items(self, items: list[Any], task: Task, batch: int) -> None:
        function = task.function
        if function.number not in self._known:
            self._stage_path()
            self._remember(function)
            self._stage(layout.DEFINE, 0, function.number, 0, 1, function.parts)
        style = task.style
        self._page[layout.LEVEL] = min(max(logging.root.level, 0), layout.WORD)
        with PICKLING:
            try:
                parts = pack(items)
            except BaseException as error:  # the code of an item runs here, and may raise anything
                if SHIELD.has_raised(error):
                    raise
                style |= layout.CHECKED
                parts = self._pack_checked(items)
        self._stage(layout.ITEMS, style, function.number, batch, len(items), parts)

    def _stage_path(self) -> None:
        """A new function may come from where this process has begun to look for modules lately."""
        known, path = self._path, [entry for entry in sys.path if isinstance(entry, str)]
        first = next((at for at, entry in enumerate(path) if entry in known), 0)
        before = [_absolute(entry) for entry in path[:first]]
        behind = [_absolute(entry) for entry in path[first:] if entry not in known]
        if before or behind:
            known.update(path)
            self._stage(layout.PATH, 0, 0, 0, 0, [dumps((before, behind), PROTOCOL)])

    def _remember(self, function: Function) -> None:
        """The worker is about to know this function, and may have to forget the others."""
        self._functions_size += function.size
        if len(self._known) > FUNCTIONS or self._functions_size > FUNCTIONS_SIZE:
            self._forget_functions()
            self._functions_size = function.size
        self._known.add(function.number)

    def _forget_functions(self) -> None:
        self._unsent.append(PACKET.pack(layout.FORGET, 0, 0, 0, 0, 0, 0))
        self._known = {HANDLER.number}
        self._functions_size = 0

    def _pack_checked(self, items: list[Any]) -> list[Any]:
        """Those items that can be pickled, and places for those that cannot."""
        checked = [self._checked(item) for item in items]
        try:
            return pack(checked)
        except BaseException as error:  # it could be pickled just now
            if SHIELD.has_raised(error):
                raise
            return pack([(False, self._refuse(error)) for _ in items])

    def _checked(self, item: Any) -> tuple[bool, Any]:
        """The item, if it can be pickled; otherwise the number under which its error is kept."""
        try:
            pack([item])
        except BaseException as error:
            if SHIELD.has_raised(error):
                raise
            return False, self._refuse(error, find(item))
        return True, item

    def _refuse(self, error: BaseException, place: str | None = None) -> int:
        where = f": {place.strip()}" if place else ""
        add_note(error, f"The item cannot be sent to a worker{where}.")
        number = len(self._refused)
        while number in self._refused:
            number += 1
        self._refused[number] = error
        return number

    def _stage(
        self, kind: int, flags: int, function: int, batch: int, count: int, parts: list[Any]
    ) -> None:
        """Put one request down to be written: in a packet or, if it is large, beside it."""
        if self._outbox.freed:
            self._return_places()
        size = len(parts[0])
        if size <= _INLINE and len(parts) == 1:
            header = PACKET.pack(kind, flags, function, batch, count, size, 0)
            self._unsent.append(header + parts[0])
            return
        try:
            offset, size = self._inbox.place(parts)
        except OSError as error:
            self._stage_long(error, (kind, flags, function, batch, count), join(parts))
        else:
            flags |= layout.AWAY
            self._unsent.append(PACKET.pack(kind, flags, function, batch, count, size, offset))

    def _stage_long(self, error: OSError, head: tuple[int, ...], joined: list[Any]) -> None:
        log.warning("no shared memory for a large message (%s): it goes through the pipe", error)
        self._sent_long = True
        kind, flags, function, batch, count = head
        body = memoryview(b"".join(joined))
        flags |= layout.LONG
        self._unsent.append(PACKET.pack(kind, flags, function, batch, count, len(body), 0))
        for begin in range(0, len(body), layout.PACKET_LIMIT):
            self._unsent.append(body[begin : begin + layout.PACKET_LIMIT])

    def _return_places(self) -> None:
        """Tell the worker which places in its shared memory nobody looks at any more."""
        places = self._outbox.freed
        while places:
            some = [places.pop() for _ in range(min(len(places), _INLINE // PLACE.size))]
            header = PACKET.pack(layout.FREED, 0, 0, 0, len(some), 0, 0)
            self._unsent.append(header + b"".join(PLACE.pack(*place) for place in some))

    def _write_unsent(self) -> int:
        return os.write(self.process.stdin, self._unsent[0])

    def ask_to_exit(self) -> None:
        """Send the exit message, and end the worker's input."""
        if self.process.stdin >= 0:
            with suppress(OSError):
                os.write(self.process.stdin, _EXIT)
            self.process.close_stdin()

    def take_back(self) -> list[Batch]:
        """Read back from the pipe what the worker has not read yet."""
        taken: set[int] = set()
        kept: list[bytes] = []
        while self.process.requests >= 0 and not self._sent_long:
            try:
                packet = os.read(self.process.requests, layout.PACKET_LIMIT)
            except BlockingIOError:
                break
            kind, flags, _, batch, _, size, offset = PACKET.unpack_from(packet)
            if kind != layout.ITEMS:
                kept.append(packet)
                continue
            taken.add(batch)
            if flags & layout.AWAY:
                self._inbox.free(offset, size)
        self._unsent.extendleft(reversed(kept))
        batches = [batch for number, batch in self._batches if number & 0xFFFFFFFF in taken]
        self._batches = deque(pair for pair in self._batches if pair[0] & 0xFFFFFFFF not in taken)
        return batches

    def ask_back(self) -> None:
        """Have it begin nothing more of the batch that it works on."""
        if self._batches:
            self._page[layout.WANTED] = self._batches[0][0] & 0xFFFFFFFF

    def revoke(self) -> int | None:
        """Take what it has not begun of a batch that it was asked for a moment ago.

        The moment matters: it looks for being asked when it has noted which item it begins, so
        either that note is to be seen here by now, or it has seen that it is to begin nothing.
        """
        if not self._batches or not self._is_first(self._page[layout.WANTED]):
            return None
        kept = self._page[layout.STARTED] - self._received
        number, batch = self._batches[0]
        if len(batch) <= self._answered + kept:
            return None
        if kept:
            self._batches[0] = number, batch.split(self._answered + kept)[0]
        else:
            self._batches.popleft()
            self._answered = 0
        return kept

    def _is_first(self, number: int) -> bool:
        """True if the batch of this number is the one that it works on."""
        return bool(self._batches) and self._batches[0][0] & 0xFFFFFFFF == number

    # -- reading ---------------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[Frame]:
        """The frames with answers that these bytes complete; of the others it is taken note."""
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        frames: list[Frame] = []
        at, end = 0, len(data)
        while end - at >= FRAME.size:
            kind, count, size = FRAME.unpack_from(data, at)
            if not layout.PLAIN <= kind <= layout.BACK:
                self._fault = ProtocolError(
                    f"worker {self.id} (pid {self.pid}) wrote to a descriptor that is not its own, "
                    f"but the pool's: {data[at : at + 64]!r}"
                )
                return frames
            body = at + FRAME.size
            if end - body < size:
                self._wanted = FRAME.size + size
                break
            at = body + size
            if kind <= layout.ENTRIES:
                (known, skip), self._peeked = self._peeked, (0, 0)
                self._settle(count - known)
                if count > known:
                    frames.append((kind, count - known, data[body + skip : at]))
            elif kind == layout.SPLIT or (kind == layout.BACK and self._is_first(count)):
                self._batches.popleft()
                self._answered = 0
                frames.append((kind, 0, b""))
            elif kind == layout.BACK:
                pass  # it was taken from it before
            else:
                self._note(kind, count, data[body:at])
        if at < end:
            self._buffer += data[at:]
        return frames

    def _settle(self, count: int) -> None:
        """So many more items were answered."""
        self._received += count
        batches = self._batches
        if batches:
            self._answered += count
            while batches and self._answered >= len(batches[0][1]):
                self._answered -= len(batches.popleft()[1])

    def _locate(self, item: int) -> tuple[int | None, Batch | None]:
        """The index and the batch of an item, given its number in this worker."""
        ahead = (item - self._received - 1) & 0xFFFFFFFF
        if not self._batches:
            return (0 if ahead == 0 else None), None
        ahead += self._answered
        for _, batch in self._batches:
            if ahead < len(batch):
                return batch.start + ahead, batch
            ahead -= len(batch)
        return None, None

    def _note(self, kind: int, item: int, body: bytes) -> None:
        """A frame that is no answer."""
        if kind == layout.PLACES:
            for at in range(0, len(body), PLACE.size):
                self._inbox.free(*PLACE.unpack_from(body, at))
        elif kind == layout.LOG:
            index, _ = self._locate(item)
            self.run_user_code(partial(self._log, body, index))
        elif kind == layout.ECHO:
            _, batch = self._locate(item)
            if batch is not None:
                batch.job.echo(int(body[:1]), body[1:])

    def _log(self, body: bytes, index: int | None) -> None:
        """Let the loggers of this process handle a record of the worker's, made harmless."""
        try:
            fields = {
                name: printable(value) if type(value) is str else value
                for name, value in loads(body).items()
            }
            record = logging.makeLogRecord({**fields, "worker_id": self.id, "item": index})
            if record.exc_text:  # for handlers that look at this alone
                trouble = RemoteTraceback(record.exc_text)
                record.exc_info = type(trouble), trouble, None
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        except BaseException as error:  # a filter of the user's
            if ends_the_program(error):
                raise
            log.exception("a log record of worker %d could not be handled", self.id)

    @property
    def progress(self) -> tuple[float, float | None, str] | None:
        """What the running item says of itself: done, total, note."""
        page = self._page
        for _ in range(_LOOKS):
            sequence = page[SEQUENCE]
            item, done, total, note = REPORT.unpack_from(page, layout.REPORT_AT)
            if sequence & 1 or page[SEQUENCE] != sequence:
                continue  # it is just being written
            if item != page[layout.STARTED] or not self.has_begun():
                return None  # it is of an earlier item
            words = note.rstrip(b"\0").decode("utf-8", "ignore")
            return done, None if isnan(total) else total, words
        return None

    def peek(self) -> list[Frame]:
        """What it has answered before the item that it is in, and not sent yet.

        What it sent before that is read first: it belongs to these items too.
        """
        known, begin = self._peeked
        page, base = self._page, self._received - known
        kind, end = page[layout.KIND], page[layout.LENGTH]
        body = bytes(self._journal[begin:end])
        frames = self._read_all()
        # It may have sent that meanwhile: then it empties the journal, and counts, in this order.
        if frames or not body or page[layout.LENGTH] < end or page[layout.BASE] != base:
            return frames
        count = _count((kind, 0, body))
        self._settle(count)
        self._peeked = known + count, end
        return [(kind, count, body)]

    def _read_all(self) -> list[Frame]:
        """The frames that are in the pipe, but for those that come all the time."""
        frames: list[Frame] = []
        with suppress(BlockingIOError):
            for _ in range(_READS):
                data = os.read(self.process.stdout, self._read_size)
                self.ended = self.ended or not data
                frames += self.feed(data)
                if self.ended:
                    break
        return frames

    def drain(self) -> list[Frame]:
        """The last answers of a worker that has ended, those in its journal included."""
        return super().drain() + self.peek()

    def only_answer(self, data: bytes) -> Any:
        """The value of an answer, or a `Reply`, if these bytes are one whole answer."""
        if len(data) > FRAME.size and not self._buffer:
            kind, count, size = FRAME.unpack_from(data)
            if kind == layout.PLAIN and count == 1 and size == len(data) - FRAME.size:
                self._received += 1
                return loads(layout.PLAIN_HEAD + data[FRAME.size :] + layout.PLAIN_TAIL)[0]
        return super().only_answer(data)

    def value_of(self, answer: Frame) -> Any:
        """The value of a frame with one answer, or a `Reply`."""
        return opened(self._unpacked(answer)[0])

    def decode(self, answers: list[Frame]) -> tuple[list[Any], bool]:
        """What is in frames, and whether all are values; what may run code stays sealed."""
        values: list[Any] = []
        plain = True
        for frame in answers:
            values += self._unpacked(frame)
            plain = plain and frame[0] == layout.PLAIN
        return values, plain or not any(type(value) in _NO_VALUES for value in values)

    def _unpacked(self, frame: Frame) -> list[Any]:
        kind, _, body = frame
        if kind == layout.PLAIN:
            values: list[Any] = loads(layout.PLAIN_HEAD + body + layout.PLAIN_TAIL)
            return values
        answers: list[Any] = []
        at, end = 0, len(body)
        while at < end:
            flags, size = ENTRY.unpack_from(body, at)
            begin = at + ENTRY.size
            at = end if flags & layout.LONG else begin + size
            entry = body[begin:at]
            try:
                if flags:
                    answers.append(self._unusual(flags, entry))
                elif _STACK_GLOBAL in entry:
                    answers.append(Sealed([entry]))
                else:  # plain data, and little of it
                    answers.append(loads(entry))
            except Exception as error:  # an item has spoilt the memory
                answers.append(Reply(error=error, raw=entry))
        return answers

    def _unusual(self, flags: int, body: bytes) -> Sealed:
        """An answer that lies elsewhere, or that is more than a value."""
        parts: list[Any] = [body]
        if flags & layout.AWAY:
            parts = self._outbox.read(*PLACE.unpack(body))
        elif flags & layout.LONG:
            parts = split(memoryview(body))
        if not flags & layout.REPLY:
            return Sealed(parts)
        sealed, raised, stdout, stderr = loads(parts[0], buffers=parts[1:])
        if stderr:
            self.stderr.note(stderr)
        if raised is not None and raised[1] == _REFUSED:
            raised = self._refused.pop(int(raised[2]))
        return Sealed(sealed, raised, stdout, stderr)

    def _read_unasked(self) -> bytes:
        """What a worker says between two requests is about places, or a thread's log record."""
        with suppress(BlockingIOError):
            data = os.read(self.process.stdout, self._read_size)
            self.ended = not data
            self.feed(data)
        return b""

    @property
    def is_clean(self) -> bool:
        """Always: frames that are no answers come at any time, and the rest of one will."""
        return True

    def runs(self, answers: list[Frame]) -> list[tuple[list[Frame], Returned | None]]:
        """The frames, cut where it gives a batch back; it may be one that it could not read."""
        runs: list[tuple[list[Frame], Returned | None]] = []
        run: list[Frame] = []
        for frame in answers:
            if frame[0] in (layout.SPLIT, layout.BACK):
                runs.append((run, Returned(singly=frame[0] == layout.SPLIT)))
                run = []
            else:
                run.append(frame)
        return [*runs, (run, None)]

    # -- the end ---------------------------------------------------------------------------------

    def fault(self) -> ProtocolError | None:
        """Set once what came up its pipe was not written by the worker's own code."""
        return self._fault

    def has_begun(self) -> bool:
        """False if it had not begun its next item; it may have been reading it."""
        return self._page[layout.STARTED] > self._received

    def died_loading(self) -> bool:
        """True if a batch killed it while it was unpickled."""
        return bool(self._page[layout.LOADING])

    def dump_stacks(self) -> bool:
        """Have it write the stacks of all its threads to its item's stderr."""
        self.process.signal(layout.DUMP_SIGNAL)
        return True

    def unfinished(self) -> Reply:
        """What the item that it had has printed so far."""
        stdout, stderr = (self._printed(fd) for fd in (self._shared.stdout, self._shared.stderr))
        return Reply(stdout=stdout, stderr=stderr)

    def _printed(self, fd: int) -> str:
        size = os.fstat(fd).st_size
        return os.pread(fd, _KEPT, max(size - _KEPT, 0)).decode("utf-8", "replace")

    def item_stderr(self) -> str:
        """Nothing: what an item writes comes with its answer, everything else is for the log."""
        self.stderr.take()
        return ""

    def close(self) -> None:
        """Close every descriptor; what others still look at stays mapped."""
        super().close()
        self._page.release()
        self._journal.release()
        self._mapping.close()
        self._inbox.close()
        for fd in self._shared:
            os.close(fd)


def _absolute(path: str) -> str:
    """The path from the root; as it is, if the current folder is gone."""
    try:
        return os.path.abspath(path)
    except OSError:
        return path


def _count(frame: Frame) -> int:
    """How many answers there are in a frame."""
    kind, _, body = frame
    if kind == layout.PLAIN:
        return len(loads(layout.PLAIN_HEAD + body + layout.PLAIN_TAIL))
    count = at = 0
    while at < len(body):
        at += ENTRY.size + ENTRY.unpack_from(body, at)[1]
        count += 1
    return count
