"""A program that runs `serve`: it says which requests it has begun, and what its handler raised.

One rule holds here: requests have numbers, from 1 in the order in which they are sent, and all that
the worker says beside its answers names one. See `wire/served.py`.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from contextlib import suppress
from itertools import chain
from time import sleep
from typing import TYPE_CHECKING, Any

from processpool.core.replies import Reply
from processpool.engine.workers.channel import SMALL_READ
from processpool.engine.workers.command import CommandProtocol
from processpool.engine.workers.prefetching import Prefetching
from processpool.engine.workers.protocol import UNUSUAL, WorkerProtocol
from processpool.engine.workers.served_notes import ServedNotes
from processpool.engine.workers.served_parts import ServedParts
from processpool.engine.workers.shares import Shares
from processpool.errors import CodecError, Retire
from processpool.wire import served
from processpool.wire.python.remote_errors import rebuild
from processpool.wire.served import (
    AHEAD,
    ATTEMPT_BITS,
    ATTEMPTS,
    BEGUN,
    DECIDED,
    FAILED,
    ITEMS,
    ITEMS_AT,
    KEPT,
    LAST,
    RECALLED,
    TAKEN,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.core.jobs import Batch, Job
    from processpool.engine.workers.worker import Worker
    from processpool.wire.python.functions import Task

SETTLED = 0.0002
"""Seconds after which a word in shared memory has surely been seen, or what it was to prevent."""


class Failed(bytes):
    """What was printed for a request whose handler has raised."""

    error: BaseException


def begin_serving(worker: Worker, said: bytes) -> ServeProtocol | None:
    """If a worker has handed its page over, speak with it as with one under `serve` from now on."""
    memory, worker.readiness.memory = worker.readiness.memory, -1
    if memory < 0:
        return None
    try:
        plain = worker.protocol
        if not said.startswith(served.HELLO) or not isinstance(plain, CommandProtocol):
            return None
        if plain.was_asked:  # it cannot be said any more which of its requests is the first
            return None
        mapping = mmap.mmap(memory, served.PAGE_SIZE)
        token = said[len(served.HELLO) :]
        worker.protocol = protocol = ServeProtocol(plain, worker, mapping, token)
        return protocol
    finally:
        os.close(memory)


class ServeProtocol(CommandProtocol):
    """The protocol of a program, and what it says besides; before anything was sent."""

    def __init__(
        self, plain: CommandProtocol, worker: Worker, mapping: mmap.mmap, token: bytes
    ) -> None:
        """Go on where `plain` is; `token` is in the marks that the worker puts into its stderr."""
        vars(self).update(vars(plain))
        self._worker = worker
        self._mapping = mapping
        self._page = memoryview(mapping).cast("Q")
        self._page[TAKEN] = 1
        self._token = token
        self._sent = 0
        """Requests that it was sent, or will be at the next opportunity."""
        self._at: deque[tuple[int, Batch]] = deque()
        """The first request of each batch that is open."""
        self._numbers = served.Numbering()
        self._heard = 0
        """Failures that were heard of."""
        self._failures: dict[int, BaseException] = {}
        self._shares: Shares | None = None
        self._tells_items = True
        self._parts = ServedParts(self._page)
        self._requests = ServedNotes(mapping)

    def sent_ahead(self, window: int) -> None:
        """So many requests may be sent to it before the first of them is answered."""
        self._tells_items = window <= ITEMS
        if window > 1:
            stderr = self._worker.stderr
            self._shares = stderr.shares = Shares(self._token, lambda: self._page[BEGUN])
            self._worker.prefetching = Recallable(self)
            self._page[AHEAD] = 1

    # -- writing ---------------------------------------------------------------------------------

    def stage_batch(self, batch: Batch) -> None:
        """Put a batch down as bytes to be written."""
        number = self._sent + 1
        done = self._numbers.done(self._received)
        while self._at and self._at[0][0] + len(self._at[0][1]) - 1 <= done:
            self._at.popleft()
        self._at.append((number, batch))
        self._sent += len(batch)
        payloads = batch.payloads
        if self._tells_items:
            self._requests.batch(self._page, number, batch)
        if batch.job.wants_parts:
            self._parts.want(number)
        self._begin(*payloads)
        self._stage(list(chain.from_iterable(payloads)))

    def stop_stream(self, job: Job) -> None:
        """Have it make no more parts of the item of a job."""
        for number, batch in self._at:
            if batch.job is job:
                self._parts.stop(number)

    def send_next(self, batch: Batch) -> bool:
        """Write one item to a worker that has answered all others; False if the pipe is full."""
        payload = batch.payloads[0]
        if len(payload) > 1 or self._unsent:
            return WorkerProtocol.send_next(self, batch)
        self._sent = number = self._sent + 1
        self._at.clear()
        self._at.append((number, batch))
        if self._tells_items:  # `pack_item`, but for very many attempts
            word = batch.base + batch.lo + 1 << ATTEMPT_BITS | batch.attempts & ATTEMPTS
            self._page[ITEMS_AT + number % ITEMS] = word
            if batch.job.terms.within or self._requests.tells_spans:
                self._requests.span(self._page, number, 1, batch.job.terms.within)
        if batch.job.wants_parts:
            self._parts.want(number)
        return super().send_next(batch)

    def stage_one(self, payload: tuple[bytes, ...], task: Task | None) -> None:
        """Put one request down as bytes to be written."""
        self._note_call(payload)
        super().stage_one(payload, task)

    def small_request(self, payload: tuple[bytes, ...], task: Task | None) -> bytes | None:
        """The bytes of a request that takes no more than one write; None for others."""
        data = super().small_request(payload, task)
        if data is not None:
            self._note_call(payload)
        return data

    def _note_call(self, payload: tuple[bytes, ...]) -> None:
        """The one item of a call, or of a lease, is sent."""
        self._sent = number = self._sent + 1
        if self._tells_items:
            self._requests.call(self._page, number, payload)
        if self._shares is not None:
            self._shares.forget(self._numbers.done(self._received))

    def take_back(self) -> list[Batch]:
        """Recall what it has not begun; of a batch that it has begun, the rest."""
        page, last = self._page, self._sent
        if page[BEGUN] >= last:
            return []
        page[RECALLED] = last
        sleep(SETTLED)
        kept = self._numbers.skip(page[BEGUN], last)
        page[KEPT] = kept
        page[DECIDED] = last
        taken: list[Batch] = []
        at: deque[tuple[int, Batch]] = deque()
        for first, batch in self._at:
            begun, rest = batch.split(max(kept - first + 1, 0))
            if len(begun):
                at.append((first, begun if len(rest) else batch))
            if len(rest):
                taken.append(rest if len(begun) else batch)
        self._at = at
        return taken

    # -- reading ---------------------------------------------------------------------------------

    def receive_one(self) -> Any:
        """The value that can be read now, if it is exactly one answer, and no error."""
        try:
            data = os.read(self._stdout, SMALL_READ)
        except BlockingIOError:
            return UNUSUAL
        shares = self._shares
        if (shares is not None and shares.texts) or self._page[FAILED] != self._heard:
            return self._read_early(data)
        return self._read_early(data) if self._parts.wanted else self._take_one(data)

    def feed(self, data: bytes) -> list[bytes]:
        """The answers that these bytes complete."""
        before = self._received
        answers = self._feed_parts(data) if self._parts.wanted else super().feed(data)
        if self._page[FAILED] != self._heard:
            self._listen()
        if self._failures:
            for offset, answer in enumerate(answers):
                error = self._failures.pop(self._numbers.of(before + 1 + offset), None)
                if error is not None:
                    answers[offset] = failed = Failed(answer)
                    failed.error = error
        return answers

    def _feed_parts(self, data: bytes) -> list[bytes]:
        """The answers that these bytes complete; the parts among them go to their job."""
        answers: list[bytes] = []
        for message in self._framing.feed(data):
            number = self._numbers.of(self._received + 1)
            if self._parts.is_part(number, self._received):
                batch = next((b for at, b in self._at if at <= number < at + len(b)), None)
                if batch is not None:
                    batch.job.part(self.value_of(message), self._parts.source(number))
                continue
            answers.append(message)
            self._answered += 1
            self._received += 1
        return answers

    def only_answer(self, data: bytes) -> Any:
        """The value of an answer, or a `Reply`, if these bytes are one whole answer."""
        if self._page[FAILED] == self._heard:
            return super().only_answer(data)
        self.early = self.feed(data)
        self._worker.stderr.read()
        return UNUSUAL

    def decode(self, answers: list[bytes]) -> tuple[list[Any], bool]:
        """The values of answers, and whether all are plain; those that failed become a `Reply`."""
        shares = self._shares
        divides = shares is not None and bool(shares.texts)
        if not divides and Failed not in map(type, answers):
            return super().decode(answers)
        values = [self.value_of(answer) for answer in answers]
        if divides:
            first = self._received - len(answers) + 1
            values = [self._with_stderr(first + n, value) for n, value in enumerate(values)]
        return values, not any(type(value) is Reply for value in values)

    def plain_values(self, answers: list[bytes]) -> list[Any] | None:
        """The values of answers, if there is nothing else to say of any."""
        if (self._shares is not None and self._shares.texts) or Failed in map(type, answers):
            return None
        return super().plain_values(answers)

    def value_of(self, answer: bytes) -> Any:
        """The value of one answer, or a `Reply`."""
        if type(answer) is Failed:
            printed = answer.decode("utf-8", "replace")
            return Reply(error=answer.error, stdout=printed, raw=bytes(answer))
        if self._errors is not None:
            return super().value_of(answer)
        try:  # as `super()` does, which takes longer
            return self._decode(answer)
        except CodecError as problem:
            return Reply(error=problem, raw=answer)

    def _with_stderr(self, count: int, value: Any) -> Any:
        """The value of this answer, with what its request has written to stderr."""
        assert self._shares is not None
        text = self._shares.take(self._numbers.of(count))
        if not text:
            return value
        if type(value) is not Reply:
            return Reply(value, stderr=text)
        value.stderr = text
        return value

    def _listen(self) -> None:
        """Hear which requests have failed."""
        told = self._page[FAILED]
        for number, error in _failures(self._readiness.fd):
            self._failures[number] = error
        self._heard = told

    # -- the end ---------------------------------------------------------------------------------

    def is_leaving(self) -> bool:
        """True if it has said that it begins nothing after its last answer."""
        return bool(self._page[LAST])

    def is_torn(self) -> bool:
        """Never: it reads its input to the end, or ends itself."""
        return False

    def has_begun(self, *, is_waiting: bool) -> bool:
        """False if it has not begun its next item."""
        begun: int = self._page[BEGUN]
        return begun > self._numbers.done(self._received)

    def close(self) -> None:
        """Let go of the page; what it said last is still to be read."""
        page, self._page = self._page, memoryview(bytes(self._page)).cast("Q")
        page.release()
        self._mapping.close()

    def unfinished(self) -> Reply:
        """What there is of the answer to an item that will never be answered."""
        reply = super().unfinished()
        if self._shares is not None:
            self._worker.stderr.read()
            reply.stderr = self._shares.take(self._numbers.done(self._received) + 1)
        return reply


class Recallable(Prefetching):
    """The items that a worker under `serve` has not begun."""

    is_patient = True

    def __init__(self, protocol: ServeProtocol) -> None:
        self._protocol = protocol

    def take_back(self) -> list[Batch]:
        """Recall what it has not begun; of a batch that it has begun, the rest."""
        return self._protocol.take_back()


def _error(retires: bool, name: str, message: str, trace: str) -> BaseException:
    """The error of an item whose handler has raised."""
    if retires:
        return Retire(message)
    return rebuild((None, name, message, trace, None))


def _failures(fd: int) -> Iterator[tuple[int, BaseException]]:
    """The requests that have failed, by what was told of them, and why."""
    while True:
        try:
            packet = os.read(fd, served.PACKET_LIMIT)
        except OSError:
            return
        if not packet:
            return
        if packet.startswith(served.FAILURE):
            with suppress(ValueError):
                number, retires, texts = served.unpack_failure(packet)
                yield number, _error(retires, *texts)
