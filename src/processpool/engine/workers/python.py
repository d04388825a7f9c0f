"""A Python worker as the pool sees it: packets down, frames up, and a journal that outlives it.

The formats are those of `wire.python`; here they meet the worker's pipes. What the worker had
answered, but not sent when it died, is read from its journal, which also tells whether it had begun
its next item.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from functools import partial
from math import isnan
from pickle import loads
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core.replies import Reply, loaded
from processpool.engine.workers.answers import Answers
from processpool.engine.workers.channel import Channel, ChannelEvent
from processpool.engine.workers.prefetching import PythonPrefetching
from processpool.engine.workers.protocol import UNUSUAL, WorkerProtocol
from processpool.engine.workers.readiness import Readiness
from processpool.engine.workers.records import handle_record
from processpool.engine.workers.resting import Resting
from processpool.engine.workers.stderr import TAIL_LIMIT, StderrLog
from processpool.engine.workers.worker import Worker
from processpool.errors import ProtocolError
from processpool.wire.python import layout
from processpool.wire.python.arena import Arena, Reader
from processpool.wire.python.frames import FrameReader, single
from processpool.wire.python.journal import JournalView
from processpool.wire.python.layout import FRAME, PLACE, READY, REPORT, SEQUENCE
from processpool.wire.python.ledger import Ledger
from processpool.wire.python.requests import EXIT, Requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.core.jobs import Batch, Job
    from processpool.system.process import Process
    from processpool.wire.python.frames import Frame
    from processpool.wire.python.functions import Task
    from processpool.wire.python.sources import Sources

PRINTED_KEPT = 1024 * 1024
"""Bytes kept of what a lost item had printed."""
LOOKS = 100
"""Attempts to read a report of progress that is written all the time."""
READS = 64
"""Reads from the pipe of a worker that writes all the time, before others have their turn."""
SHORT_TIMEOUT = 1.0
"""Seconds: an item that may take no longer is not answered in a run. There it is seen only now and
then which item runs, which would count as much as the item."""


class Shared(NamedTuple):
    """What a worker and the pool share: descriptors of files in memory."""

    inbox: int
    outbox: int
    stdout: int
    stderr: int


def python_worker(
    number: int, process: Process, shared: Shared, inbox: Arena, ready: int, sources: Sources
) -> Worker:
    """A Python worker that has just been started."""
    stderr = StderrLog(process.stderr)
    protocol = PythonProtocol(number, process, shared, inbox, stderr)
    readiness = Readiness(ready, Introduction(sources).feed)
    return Worker(
        number, protocol.channel, protocol, readiness, stderr, protocol.prefetching(process)
    )


class PartsTaken:
    """Tells a worker how many parts of an item were taken."""

    def __init__(self, journal: JournalView, number: int) -> None:
        self._journal = journal
        self._number = number

    def taken(self, parts: int) -> None:
        """So many were taken, so more may come."""
        with suppress(ValueError):  # the worker has ended
            self._journal.page[layout.TAKEN] = parts
            self._journal.page[layout.TAKEN_OF] = self._number


class Introduction:
    """What a Python worker says when it is ready: which files of the user's it has read."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._said = bytearray()

    def feed(self, said: bytes) -> bool:
        """It says more; True once it has said all.

        Raises:
            Exception: that is not what it says.
        """
        self._said += said
        whole = _whole(self._said)
        if whole is None:
            return False
        for path, *mark, named in loads(whole):
            self._sources.read_at(path, tuple(mark), named=named)
        return True


class PythonProtocol(WorkerProtocol):
    """Packets down, frames up, and a journal that outlives the worker."""

    exit_message = EXIT

    def __init__(
        self, number: int, process: Process, shared: Shared, inbox: Arena, stderr: StderrLog
    ) -> None:
        outbox = Reader(shared.outbox)
        self._journal = JournalView(shared.inbox)
        self._requests = Requests(inbox, outbox.freed, self._looks_at_traces)
        self.channel = Channel(process, self._requests.unsent)
        super().__init__(self.channel)
        self._number = number
        self._shared = shared
        self._inbox = inbox
        self.memory = Resting(inbox, outbox, self._requests)
        """What it shares with the worker besides the journal."""
        self._answers = Answers(outbox, stderr.note)
        self._ledger: Ledger[Batch] = Ledger()
        self._frames = FrameReader()

    def prefetching(self, process: Process) -> PythonPrefetching:
        """What this worker has beside the item that it works on."""
        return PythonPrefetching(
            self, self._read_all, self._requests, self._ledger, self._journal, process.requests
        )

    # -- writing ---------------------------------------------------------------------------------

    def stage_batch(self, batch: Batch) -> None:
        """Put a batch down as bytes to be written."""
        timeout = batch.job.timeout
        flags = layout.RUN if timeout is None or timeout > SHORT_TIMEOUT else 0
        number, at = self._ledger.next_number, (batch.start, batch.attempts)
        self._stage_items(batch.payloads, batch.job.task, number, flags, at)
        self._ledger.sent(batch)

    def send_next(self, batch: Batch) -> bool:
        """Write one item to a worker that has answered all others; False if the pipe is full."""
        at = batch.base + batch.lo, batch.attempts
        number = self._ledger.next_number
        packet = self._requests.small(batch.items[batch.lo], batch.job.task, number, at)
        if packet is None:
            return super().send_next(batch)
        self._ledger.sent(batch)
        self._note_log_level()
        return self.channel.write_one(packet)

    def _looks_at_traces(self) -> bool:
        """True once its items may look at their traces."""
        return bool(self._journal.page[layout.TRACING])

    def _note_log_level(self) -> None:
        """Records below this level need not come here."""
        self._journal.page[layout.LEVEL] = min(max(logging.root.level, 0), layout.WORD)

    def stage_one(self, payload: Any, task: Task | None) -> None:
        """Put one request down as bytes to be written."""
        assert task is not None
        self.memory.rest_if_due()
        self._stage_items([payload], task, 0, 0)

    def _stage_items(
        self,
        items: Sequence[Any],
        task: Task,
        batch: int,
        flags: int,
        at: tuple[int, int] = (0, 1),
    ) -> None:
        self._note_log_level()
        self._requests.stage_items(items, task, batch, flags, at)

    def small_request(self, payload: Any, task: Task | None) -> bytes | None:
        """The packet of an item whose arguments are simple and small; None for others."""
        assert task is not None
        self._note_log_level()
        return None if self.memory.is_due else self._requests.small(payload, task)

    # -- reading ---------------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[Frame]:
        """The frames with answers that these bytes complete; of the others it is taken note."""
        answers: list[Frame] = []
        frames = self._frames.feed(data)
        self.seconds_each = self._frames.pace / 1e9
        for kind, number, body in frames:
            if kind <= layout.ANSWERS:
                count, known = self._ledger.arrived(number)
                if count:
                    answers.append((kind, count, body[known:] if known else body))
            elif kind == layout.SPLIT or (
                kind == layout.BACK and number == self._ledger.first_number
            ):
                self._ledger.drop_first()
                answers.append((kind, 0, b""))
            elif kind != layout.BACK:  # one that was taken from it before says nothing new
                self._note(kind, number, body)
        return answers

    def _note(self, kind: int, item: int, body: bytes) -> None:
        """A frame that is no answer."""
        if kind == layout.PLACES:
            for at in range(0, len(body), PLACE.size):
                self._inbox.free(*PLACE.unpack_from(body, at))
        elif kind == layout.LOG:
            index, _ = self._ledger.locate(item)
            self.run_user_code(partial(handle_record, body, self.pool, self._number, index))
        elif kind == layout.PART:
            _, batch = self._ledger.locate(item)
            number = None if batch is None else self._ledger.first_of(lambda one: one is batch)
            if batch is not None and number is not None:
                (part,) = self._answers.values((layout.ENTRIES, 1, body))
                batch.job.part(part, PartsTaken(self._journal, number))
        elif kind == layout.ECHO:
            _, batch = self._ledger.locate(item)
            if batch is not None:
                batch.job.echo(int(body[:1]), body[1:])

    def stop_stream(self, job: Job) -> None:
        """Have it make no more parts of the item of a job."""
        number = self._ledger.first_of(lambda batch: batch.job is job)
        if number is not None:
            self._journal.page[layout.STOPPED] = number

    @property
    def progress(self) -> tuple[float, float | None, str] | None:
        """What the running item says of itself: done, total, note."""
        item, done, total, note = _last_report(self._journal.page)
        if item != self._journal.begun() or not self._is_in_an_item:
            return None  # it is of an earlier item
        words = note.rstrip(b"\0").decode("utf-8", "ignore")
        return done, None if isnan(total) else total, words

    @property
    def unsent_stderr(self) -> tuple[int, bytes]:
        """What the running item has written to stderr: it is in the file that both sides share."""
        fd = self._shared.stderr
        size = os.fstat(fd).st_size
        return size, os.pread(fd, TAIL_LIMIT, max(size - TAIL_LIMIT, 0)) if size else b""

    def _read_all(self) -> list[Frame]:
        """The frames that are in the pipe, but for those that come all the time."""
        frames: list[Frame] = []
        with suppress(BlockingIOError):
            for _ in range(READS):
                data = os.read(self.channel.stdout, self.channel.read_size)
                if not data:
                    self.channel.on(ChannelEvent.STDOUT_CLOSED)
                    break
                frames += self.feed(data)
        return frames

    def only_answer(self, data: bytes) -> Any:
        """The value of an answer, or a `Reply`, if these bytes are one whole answer."""
        if len(data) > FRAME.size and self._frames.is_clean:
            kind, count, size = FRAME.unpack_from(data)
            if kind == layout.PLAIN and count == 1 and size == len(data) - FRAME.size:
                self._ledger.received += 1
                return loads(layout.PLAIN_HEAD + data[FRAME.size :] + layout.PLAIN_TAIL)[0]
        return super().only_answer(data)

    def receive_one(self) -> Any:
        """The value that can be read now, if it is one plain answer to the only item."""
        try:
            data = os.read(self.channel.stdout, self.channel.read_size)
        except BlockingIOError:
            return UNUSUAL
        if self._frames.is_clean and self._ledger.is_single:
            found = single(data)
            if found is not None:
                self._ledger.settle(1)
                frame, self.seconds_each = found
                value = self.value_of(frame)
                if type(value) is not Reply:
                    self.undecoded = frame
                    return value
                self.early.append(frame)
                return UNUSUAL
        if not data:
            self.channel.on(ChannelEvent.STDOUT_CLOSED)
        self.early += self.feed(data)
        return UNUSUAL

    def value_of(self, answer: Frame) -> Any:
        """The value of a frame with one answer, or a `Reply`."""
        return loaded(self._answers.values(answer)[0])

    def decode(self, answers: list[Frame]) -> tuple[list[Any], bool]:
        """What is in frames, and whether all are values; what may run code stays pickled."""
        return self._answers.decode(answers)

    def unsolicited(self, data: bytes) -> bytes:
        """Nothing: between two requests it talks of places, and its threads may log."""
        self.feed(data)
        return b""

    @property
    def is_clean(self) -> bool:
        """Always: frames that are no answers come at any time, and the rest of one will."""
        return True

    # -- the end ---------------------------------------------------------------------------------

    def fault(self) -> ProtocolError | None:
        """Set once what came up its pipe was not written by the worker's own code."""
        if not self._frames.broken:
            return None
        return ProtocolError(
            f"worker {self._number} (pid {self.channel.process.pid}) wrote to a descriptor that is "
            f"not its own, but the pool's: {self._frames.broken!r}"
        )

    def has_begun(self, *, is_waiting: bool) -> bool:
        """False if it had not begun its next item; it may have been reading it."""
        return self._is_in_an_item

    @property
    def _is_in_an_item(self) -> bool:
        return self._journal.begun() > self._ledger.received

    def died_loading(self) -> bool:
        """True if a batch killed it while it was unpickled."""
        return bool(self._journal.page[layout.LOADING])

    def dump_stacks(self) -> bool:
        """Have it write the stacks of all its threads to its item's stderr."""
        self.channel.process.signal(layout.DUMP_SIGNAL)
        return True

    def unfinished(self) -> Reply:
        """What the item that it had has printed so far."""
        stdout, stderr = (_printed(fd) for fd in (self._shared.stdout, self._shared.stderr))
        return Reply(stdout=stdout, stderr=stderr)

    def close(self) -> None:
        """Close what is shared; what others still look at stays mapped."""
        self._journal.close()
        self._inbox.close()
        self.memory.call_on_use(_nothing)
        for fd in self._shared:
            os.close(fd)


def _nothing() -> None:
    """It is closed: its files go with the last who looks at them."""


def _last_report(page: memoryview) -> tuple[int, float, float, bytes]:
    """The last report of progress: its item, done, total, note; item 0 if it cannot be read."""
    for _ in range(LOOKS):
        sequence = page[SEQUENCE]
        item, done, total, note = REPORT.unpack_from(page, layout.REPORT_AT)
        if not sequence & 1 and page[SEQUENCE] == sequence:  # else it is just being written
            return item, done, total, note
    return 0, 0.0, 0.0, b""


def _printed(fd: int) -> str:
    """The end of what is in a file."""
    size = os.fstat(fd).st_size
    return os.pread(fd, PRINTED_KEPT, max(size - PRINTED_KEPT, 0)).decode("utf-8", "replace")


def _whole(said: bytearray) -> bytes | None:
    """What a worker says where it is ready; None as long as not all of it has come."""
    if len(said) < READY.size:
        return None
    end = READY.size + READY.unpack_from(said)[0]
    return bytes(said[READY.size : end]) if len(said) >= end else None
