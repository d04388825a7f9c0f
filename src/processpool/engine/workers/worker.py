"""A worker as the pool sees it: its process, what it is sent, and what it has said.

Whoever writes to a worker's pipes or reads from them holds `io`. Answers are read by the thread
that leads, or, while the worker is leased, by the thread that has it. Nothing here ever blocks but
`pump`, which the owner of a leased worker calls to wait. What is decided to be sent lies in
`outbox`, in the order of the decisions.
"""

from __future__ import annotations

import os
import select
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core.replies import Reply
from processpool.engine.workers.stderr import StderrLog
from processpool.engine.workers.trial import settle
from processpool.system.interrupts import INTERRUPTIBLE
from processpool.system.monitor import WAIT, Monitor
from processpool.system.readiness import reason_of_silence

with suppress(ImportError):  # not Linux: whoever opens a pool is told
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.core.jobs import Batch
    from processpool.errors import ProtocolError
    from processpool.system.process import Process
    from processpool.wire.framing.start import StartDialogue
    from processpool.wire.python.functions import Task

SMALL_READ = 64 * 1024
LARGE_READ = 1024 * 1024
"""Bytes asked of a pipe at a time, and once it is seen to carry large messages."""
LINGER = 0.002
"""Seconds that stderr is awaited after the answer of a program that may write it late."""
UNUSUAL = object()
"""Instead of an answer: it is not there in one piece."""
LATE_PAUSE = 0.0003
"""Seconds after the first late stderr until the rest of it is taken to be there."""
LINGERS = 3
ALWAYS = 1 << 60


class Returned(NamedTuple):
    """A worker gives back the rest of its first batch, of which it has begun nothing."""

    singly: bool
    """True if it could not even read it: its items are to go one by one."""


class Worker(ABC):
    """What the pool asks of any worker; how it is asked and answers is its kind's own affair."""

    def __init__(self, number: int, process: Process, ready: int) -> None:
        self.id = number
        self.process = process
        self.ready_fd = ready
        """Where a worker that knows of it says that it is ready; -1 once it has."""
        self.stderr = StderrLog(process.stderr)
        self.io = Monitor()
        self.outbox: deque[Batch] = deque()
        self.freed_shares: deque[str] = deque()
        """Names of shared objects that it does not know to be freed yet."""
        self.ready = False
        """True once it has been seen to await requests."""
        self.probed = True
        """True if it may not say of itself that it is ready, and must be looked at."""
        self.closed = False
        """True once its descriptors are closed."""
        self.ended = False
        """True once its standard output has ended, or its process."""
        self.lingers = LINGERS
        """Answers for which late stderr is still awaited; `ALWAYS` once some has come late."""
        self.trial = 0
        """First answers that are still to be held until it awaits input again."""
        self.stray = b""
        """What it wrote though nobody had asked, of one that is replaced for that."""
        self.calls = self.failed_calls = 0
        """Calls it has answered, and those that failed, since the scheduler was last told."""
        self.unasked = False
        """True while nothing was written to it that it has not answered: what it says is stray."""
        self.unheard = False
        """True if it wrote to stderr while it was leased, and nobody may have read all of it."""
        self.borrowed = False
        """True while it is there for calls: whoever has it closes nothing, but gives it back."""
        self.leased = False
        """True while it is somebody's own: what it has not read yet is theirs."""
        self.watched_over = False
        """True while somebody looks now and then for answers that it has not sent."""
        self.weighed_at = 0.0
        """When its memory was last looked at."""
        self.held = 0
        """Positive while items are taken back from it: what comes behind them is not written yet,
        or its answers would be taken for theirs."""
        self.run_user_code: Callable[[Callable[[], object]], None] = _run
        """Where code of the user's is to run, such as log handlers."""
        self._unsent: deque[memoryview | bytes] = deque()
        self.nobody_reads = False
        """True once it was seen to have closed its stdin, or to have ended."""
        self._poller = select.poll()
        for fd in (process.stdout, process.stderr, process.pidfd):
            self._poller.register(fd, select.POLLIN)
        self.poll = self._poller.poll
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.only_stdout = [(process.stdout, select.POLLIN)]
        """What `poll` says if there is an answer, and nothing else."""
        self._early: list[Any] = []

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    # -- what the kinds do each in their way -----------------------------------------------------

    @abstractmethod
    def _stage_batch(self, batch: Batch) -> None:
        """Put a batch down as bytes to be written."""

    def _stage_freed(self) -> None:
        """Put down that what is named in `freed_shares` was freed."""
        self.freed_shares.clear()

    @abstractmethod
    def _stage_one(self, payload: Any, task: Task | None) -> None:
        """Put one request down as bytes to be written."""

    @abstractmethod
    def _write_unsent(self) -> int:
        """Write some of what is to be written; may raise `BlockingIOError`."""

    @abstractmethod
    def feed(self, data: bytes) -> list[Any]:
        """The answers that these bytes complete, not decoded yet."""

    @abstractmethod
    def value_of(self, answer: Any) -> Any:
        """The value of one answer, or a `Reply`."""

    def only_answer(self, data: bytes) -> Any:
        """The value of an answer, or a `Reply`, if these bytes are one whole answer.

        Returns:
            `UNUSUAL` if they are not; what they complete is in `early_answers` then.
        """
        answers = self.feed(data) if data else self.receive()
        if len(answers) == 1 and self.is_clean:
            return self.value_of(answers[0])
        self._early = answers
        return UNUSUAL

    def early_answers(self) -> list[Any]:
        """What `only_answer` has read, if it was not one whole answer."""
        early, self._early = self._early, []
        return early

    def receive_one(self) -> Any:
        """The answer that can be read now, not decoded, if it is exactly one and whole.

        Returns:
            `UNUSUAL` if it is not; what has come all the same is in `early_answers` then.
        """
        self._early += self.receive()
        return UNUSUAL

    @abstractmethod
    def decode(self, answers: list[Any]) -> tuple[list[Any], bool]:
        """The values of answers, and whether all are; others are a `Reply`, or `PickledReply`."""

    @abstractmethod
    def ask_to_exit(self) -> None:
        """Send the exit message, if there is one, and end the worker's input."""

    @property
    @abstractmethod
    def is_clean(self) -> bool:
        """True if nothing of an unfinished answer has arrived."""

    @abstractmethod
    def has_begun(self) -> bool:
        """Of one that reads no more: False if it surely has not begun its first open item."""

    def is_deaf(self) -> bool:
        """True if it has closed its stdin, and not begun what it was sent: it never will."""
        return self.nobody_reads and not self.has_begun()

    @property
    def has_surplus(self) -> bool:
        """Of one that owes nothing: True if behind its last answer came what belongs to none."""
        return False

    foreign = False
    """True for a program that has not said that it speaks its protocol: it is judged by what it
    does."""
    output_size = 0
    """Bytes of its output so far that were not exactly one answer, where somebody counts."""
    silence = ""
    """Of one that is ended for being silent: why it may be, where that can be seen."""

    def note_silence(self) -> None:
        """Before it is ended for being silent: see why."""
        if self.foreign and not self.closed:
            self.silence = reason_of_silence(self.process) or ""

    def read_rest(self) -> list[Any]:
        """The answers that can be read now, all of them."""
        answers: list[Any] = []
        while not self.ended and self.fault() is None:
            before = self.output_size
            answers += self.receive()
            if self.output_size == before:
                break
        return answers

    answers_by_exit = False
    """True if it has one item in its life, and its answer is what it has written when it ends."""

    def end_input(self) -> None:  # noqa: B027 - most get more
        """Of one that has written all that was decided: let it see the end, if that was all."""

    advice = ""
    """What to do about a program that does not speak its protocol, where that helps."""

    def runs(self, answers: list[Any]) -> list[tuple[list[Any], Returned | None]]:
        """The answers, cut where the rest of a batch comes back without having begun."""
        return [(answers, None)]

    def died_loading(self) -> bool:
        """Of a worker that is dead: True if a batch killed it before any item of it began."""
        return False

    def fault(self) -> ProtocolError | None:
        """What is wrong with what it has written, if anything is."""
        return None

    def cut_off(self) -> ProtocolError | None:
        """Of a worker whose output has ended: what is wrong with where it ended."""
        return None

    def unfinished(self) -> Reply:
        """What there is of the answer to an item that will never be answered."""
        return Reply()

    start: StartDialogue | None = None
    """What is to be said and heard before it is ready, where there is anything of that."""
    keeps_answers = False
    """True if it may have answers that it sends when its next item has ended; see `peek`."""
    seconds_each = 0.0
    """What an item took, if the answers that came last say so; else 0."""
    place = 0
    """What users know as its slot."""
    says_more = False
    """True if it has more to say, where it has said that it is ready."""

    def is_leaving(self) -> bool:
        """True if it has said that it begins nothing any more."""
        return False

    @property
    def progress(self) -> tuple[float, float | None, str] | None:
        """What the running item says of itself: done, total, note."""
        return None

    def told(self, what: bytes) -> bool:
        """It says that it is ready, and perhaps more; True once it has said all."""
        return bool(what)

    def item_stderr(self) -> str:
        """What came on stderr during the last request."""
        return self.stderr.take()

    def item_skipped(self) -> tuple[Any, ...]:
        """Messages that came during the last request and were no answers."""
        return ()

    def dump_stacks(self) -> bool:
        """Have it write down where its threads are; False where a kind cannot do that."""
        return False

    def peek(self) -> list[Any]:
        """Answers that it has made and not sent, as it is in its next item; none of most kinds."""
        return []

    def take_back(self) -> list[Batch]:
        """Batches that it has not begun, and will not; none, where a kind cannot do that."""
        return []

    def ask_back(self) -> None:  # noqa: B027 - most kinds cannot
        """Have it begin nothing more of the batch that it works on, where a kind can do that."""

    def revoke(self) -> int | None:
        """Take what it has not begun of a batch that it was asked for.

        Returns:
            how many items of the batch it has begun and not answered; None if there is nothing
            to be taken.
        """
        return None

    # -- writing ---------------------------------------------------------------------------------

    def flush(self) -> bool:
        """Write what has been decided; False if the pipe is full."""
        if self.freed_shares:
            self._stage_freed()
        while self.outbox:
            self._stage_batch(self.outbox[0])
            self.outbox.popleft().unsent = False
        return self._write()

    def sends_at_once(self, batch: Batch) -> bool:
        """True if nothing of the user's runs when this batch is written; see `send_next`."""
        return False

    def send_next(self, batch: Batch) -> bool:
        """Write one item to a worker that has answered all others; False if the pipe is full."""
        self.outbox.appendleft(batch)  # what lies there was decided later
        return self.flush()

    def send(self, payload: Any, task: Task | None = None) -> bool:
        """Write one request; False if the pipe is full."""
        self._stage_one(payload, task)
        return self._write()

    def small_request(self, payload: Any, task: Task | None) -> bytes | None:
        """The bytes of a request that takes no more than one write; None for others."""
        return None

    def not_written(self, data: bytes, written: int) -> None:
        """So much of a small request could be written: the rest is still to be."""
        self._unsent.append(memoryview(data)[written:])

    def _write(self) -> bool:
        unsent = self._unsent
        while unsent:
            try:
                written = self._write_unsent()
            except BlockingIOError:
                return False
            except OSError:  # its end will be seen
                self.nobody_reads = True
                return True
            while unsent and written >= len(unsent[0]):
                written -= len(unsent.popleft())
            if written:
                unsent[0] = memoryview(unsent[0])[written:]
        return True

    def write_on(self, data: bytes) -> None:
        """Write a part of the start, as far as the pipe takes it; the rest goes with the next."""
        if data:
            self._unsent.append(data)
        self._write()

    # -- reading ---------------------------------------------------------------------------------

    _read_size = SMALL_READ

    def receive(self) -> list[Any]:
        """The answers that are complete now; without waiting."""
        try:
            data = os.read(self.process.stdout, self._read_size)
        except BlockingIOError:
            return []
        if not data:
            self.ended = True
            return []
        if len(data) == SMALL_READ:
            self._widen()
        return self.feed(data)

    def drain(self) -> list[Any]:
        """The last answers of a worker that has ended."""
        answers: list[Any] = []
        while self.fault() is None:
            try:
                data = os.read(self.process.stdout, LARGE_READ)
            except BlockingIOError:
                break
            if not data:
                break
            answers += self.feed(data)
        self.ended = True
        self.stderr.read()
        return answers

    def read_some(self) -> bytes:
        """What can be read now, before it is ready; nothing if its output has ended."""
        with suppress(BlockingIOError):
            data = os.read(self.process.stdout, SMALL_READ)
            self.ended = self.ended or not data
            return data
        return b""

    def _widen(self) -> None:
        """Give the pipes the size that large messages need, where the system allows it."""
        if self._read_size == SMALL_READ:
            self._read_size = LARGE_READ
            for fd in (self.process.stdin, self.process.stdout):
                with suppress(OSError, ValueError):  # stdin may be closed
                    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, LARGE_READ)

    # -- driving it by hand ----------------------------------------------------------------------

    def stray_output(self) -> bytes:
        """What it has written to stdout though nobody asked; late stderr goes to the log tail."""
        stray = b""
        if self.closed:
            return stray
        for fd, _ in self._poller.poll(0):
            if fd == self.process.stderr:
                self.stderr.read()
                self.stderr.take()
                if self.stderr.ended:
                    self._poller.unregister(fd)
            elif fd == self.process.stdout:
                stray = self._read_unasked()
            else:
                self.ended = True
        return stray

    def _read_unasked(self) -> bytes:
        with suppress(BlockingIOError):
            stray = os.read(self.process.stdout, SMALL_READ)
            self.ended = self.ended or not stray
            return stray
        return b""

    def is_quiet(self) -> bool:
        """True if it has not said anything, nor ended, since it was last listened to."""
        return not self.poll(0)

    def pump(self, timeout: float | None) -> list[Any]:
        """Wait for the worker, read what it says, and write what is still to be written.

        Args:
            timeout: seconds to wait at most; None for as long as it takes.

        Returns:
            the answers that are complete now; none if something else happened, or nothing.
        """
        if self.closed:
            return []
        process = self.process
        writing = bool(self._unsent) and not self.nobody_reads
        if writing:
            self._poller.register(process.stdin, select.POLLOUT)
        wait = WAIT if timeout is None else min(max(timeout, 0), WAIT)
        try:
            with INTERRUPTIBLE:
                events = self._poller.poll(wait * 1000)
        finally:
            if writing:
                self._poller.unregister(process.stdin)
        answers: list[Any] = []
        for fd, _ in events:
            if fd == process.stdout:
                answers += self.receive()
                if self.ended:
                    self._poller.unregister(fd)
            elif fd == process.stderr:
                self.stderr.read()
                if self.stderr.ended:
                    self._poller.unregister(fd)
            elif fd == process.pidfd:
                answers += self.drain()
            else:
                self._write()
        return answers

    def linger(self, deadline: float | None) -> list[Any]:
        """Wait a moment for what a program may write after its answer; further answers."""
        before = self.stderr.received
        if not self.stderr.ended:
            poller = select.poll()
            poller.register(self.stderr.fd, select.POLLIN)
            if poller.poll(LINGER * 1000):
                sleep(LATE_PAUSE)
            self.stderr.read()
        more = settle(self, deadline) if self.trial else []
        self.lingered(late=self.stderr.received > before)
        return more

    def lingered(self, *, late: bool) -> None:
        """Learn whether this program writes to stderr after its answers."""
        if late:
            self.lingers = ALWAYS
        elif self.lingers < ALWAYS:
            self.lingers -= 1

    def close(self) -> None:
        """Close every descriptor of a worker that has ended."""
        self.closed = self.ended = True
        self._unsent.clear()
        self.outbox.clear()
        if self.ready_fd >= 0:
            os.close(self.ready_fd)
            self.ready_fd = -1
        self.process.close()


def _run(action: Callable[[], object]) -> None:
    action()
