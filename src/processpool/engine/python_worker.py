"""A Python worker as the pool sees it: packets down, frames up, and a journal that outlives it.

The formats are those of `child.layout`. What the worker had answered but not sent when it died is
read from its journal; and its page says whether it had begun its next item.
"""

from __future__ import annotations

import logging
import mmap
import os
from collections import deque
from contextlib import suppress
from pickle import loads
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.child import layout
from processpool.child.arena import Arena, Reader, join, split
from processpool.child.layout import ENTRY, FRAME, PACKET, PLACE
from processpool.child.pickling import pack
from processpool.engine.raised import rebuild
from processpool.engine.worker import Worker
from processpool.functions import HANDLER
from processpool.jobs import Reply

if TYPE_CHECKING:
    from processpool.functions import Task
    from processpool.jobs import Batch
    from processpool.process import Process

log = logging.getLogger("processpool")

_INLINE = layout.PACKET_LIMIT - PACKET.size
_EXIT = PACKET.pack(layout.EXIT, 0, 0, 0, 0, 0, 0)
_REFUSED = "processpool.child.raised.RefusedError"
_KEPT = 1024 * 1024
"""Bytes kept of what a lost item had printed."""

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

    def __init__(
        self, number: int, process: Process, shared: Shared, inbox: Arena, ready: int
    ) -> None:
        super().__init__(number, process, ready)
        self.probed = False
        self.lingers = 0
        self._shared = shared
        self._inbox = inbox
        self._outbox = Reader(shared.outbox)
        memory = memoryview(mmap.mmap(shared.inbox, layout.ARENA_BASE))
        self._page = memory[: layout.PAGE_SIZE].cast("Q")
        self._journal = memory[layout.PAGE_SIZE :]
        self._known = {HANDLER.number}
        self._batches: deque[tuple[int, Batch]] = deque()
        self._last_batch = 0
        self._refused: deque[BaseException] = deque()
        self._buffer = bytearray()
        self._received = 0
        self._wants_split = False
        self._sent_long = False

    # -- writing ---------------------------------------------------------------------------------

    def _stage_batch(self, batch: Batch) -> None:
        self._last_batch += 1
        self._batches.append((self._last_batch, batch))
        self._stage_items(list(batch.payloads), batch.job.task, self._last_batch & 0xFFFFFFFF)

    def _stage_one(self, payload: Any, task: Task | None) -> None:
        assert task is not None
        self._stage_items([payload], task, 0)

    def _stage_items(self, items: list[Any], task: Task, batch: int) -> None:
        function = task.function
        if function.number not in self._known:
            self._known.add(function.number)
            self._stage(layout.DEFINE, 0, function.number, 0, 1, function.parts)
        style = task.style
        try:
            parts = pack(items)
        except Exception:
            style |= layout.CHECKED
            parts = pack([self._checked(item) for item in items])
        self._stage(layout.ITEMS, style, function.number, batch, len(items), parts)

    def _checked(self, item: Any) -> tuple[bool, Any]:
        """The item, if it can be pickled; otherwise a place for it, and its error is kept."""
        try:
            pack([item])
        except (Exception, SystemExit) as error:
            error.add_note("The item cannot be sent to a worker.")
            self._refused.append(error)
            return False, None
        return True, item

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
        taken: list[int] = []
        while self.process.requests >= 0 and not self._sent_long:
            try:
                packet = os.read(self.process.requests, layout.PACKET_LIMIT)
            except BlockingIOError:
                break
            kind, flags, function, batch, _, size, offset = PACKET.unpack_from(packet)
            if flags & layout.AWAY:
                self._inbox.free(offset, size)
            if kind == layout.ITEMS:
                taken.append(batch)
            elif kind == layout.DEFINE:
                self._known.discard(function)
            else:
                self._unsent.append(packet)
        batches = [batch for number, batch in self._batches if number & 0xFFFFFFFF in taken]
        self._batches = deque(
            pair for pair in self._batches if pair[0] & 0xFFFFFFFF not in taken
        )
        return batches

    # -- reading ---------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> list[Frame]:
        if self._buffer:
            self._buffer += data
            data = bytes(self._buffer)
            self._buffer.clear()
        frames: list[Frame] = []
        at, end = 0, len(data)
        while end - at >= FRAME.size:
            kind, count, size = FRAME.unpack_from(data, at)
            body = at + FRAME.size
            if end - body < size:
                break
            at = body + size
            if kind <= layout.ENTRIES:
                self._received += count
                frames.append((kind, count, data[body:at]))
            else:
                self._note(kind, count, data[body:at])
        if at < end:
            self._buffer += data[at:]
        return frames

    def _note(self, kind: int, item: int, body: bytes) -> None:
        """A frame that is no answer."""
        if kind == layout.PLACES:
            for at in range(0, len(body), PLACE.size):
                self._inbox.free(*PLACE.unpack_from(body, at))
        elif kind == layout.SPLIT:
            self._wants_split = True
        elif kind == layout.PROGRESS:
            self.progress = loads(body)
        elif kind == layout.LOG:
            self._log(loads(body))

    def _log(self, fields: dict[str, Any]) -> None:
        """Let the loggers of this process handle a record of the worker's."""
        record = logging.makeLogRecord({**fields, "worker_id": self.id})
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)

    def drain(self) -> list[Frame]:
        """The last answers of a worker that has ended, those in its journal included."""
        frames = super().drain()
        length = self._page[layout.LENGTH]
        if length and self._page[layout.BASE] == self._received:
            kind = self._page[layout.KIND]
            frame = (kind, 0, bytes(self._journal[:length]))
            self._received += len(self._values(frame))
            frames.append(frame)
        return frames

    def decode(self, answers: list[Frame]) -> tuple[list[Any], bool]:
        """The values of frames, and whether all are plain; others become a `Reply`."""
        values: list[Any] = []
        plain = True
        for frame in answers:
            values += self._values(frame)
            plain = plain and frame[0] == layout.PLAIN
        if not plain:
            plain = not any(type(value) is Reply for value in values)
        self.progress = None
        return values, plain

    def _values(self, frame: Frame) -> list[Any]:
        kind, _, body = frame
        if kind == layout.PLAIN:
            values: list[Any] = loads(layout.PLAIN_HEAD + body + layout.PLAIN_TAIL)
            return values
        values, at = [], 0
        while at < len(body):
            flags, size = ENTRY.unpack_from(body, at)
            at += ENTRY.size
            if flags & layout.LONG:
                size = len(body) - at
            values.append(self._entry(flags, body[at : at + size]))
            at += size
        return values

    def _entry(self, flags: int, body: bytes) -> Any:
        """One answer; one that cannot be unpickled is an error, whatever its code raises."""
        try:
            parts: list[Any] = [body]
            if flags & layout.AWAY:
                parts = self._outbox.read(*PLACE.unpack(body))
            elif flags & layout.LONG:
                parts = split(memoryview(body))
            value = loads(parts[0], buffers=parts[1:])
        except BaseException as error:
            error.add_note("The result came from the worker, and cannot be unpickled here.")
            return Reply(error=error, raw=body[:_KEPT])
        if not flags & layout.REPLY:
            return value
        value, raised, stdout, stderr = value
        return Reply(value, self._error(raised), stdout, stderr)

    def _error(self, raised: Any) -> BaseException | None:
        if raised is None:
            return None
        if raised[1] == _REFUSED and self._refused:
            return self._refused.popleft()
        return rebuild(raised)

    def _read_unasked(self) -> bytes:
        """What a worker says between two requests is about places, or a thread's log record."""
        with suppress(BlockingIOError):
            data = os.read(self.process.stdout, self._read_size)
            self.ended = not data
            self._feed(data)
        return b""

    @property
    def is_clean(self) -> bool:
        """True if nothing of an unfinished frame has arrived."""
        return not self._buffer

    def asks_for_split(self) -> bool:
        """True, once, if it could not read a batch and wants its items one by one."""
        wanted, self._wants_split = self._wants_split, False
        return wanted

    # -- the end ---------------------------------------------------------------------------------

    def has_begun(self) -> bool:
        """False if it had not begun its next item; it may have been reading it."""
        return self._page[layout.STARTED] > self._received

    def died_loading(self) -> bool:
        """True if a batch killed it while it was unpickled."""
        return bool(self._page[layout.LOADING])

    def dump_stacks(self) -> None:
        """Have it write the stacks of all its threads to its item's stderr."""
        self.process.signal(layout.DUMP_SIGNAL)

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
        for fd in self._shared:
            os.close(fd)
