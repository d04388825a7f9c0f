"""A worker of any program: requests and answers by a framing and a codec, on its standard pipes."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from processpool.core.replies import Reply
from processpool.engine.workers.channel import SMALL_READ, ChannelEvent
from processpool.engine.workers.error_rules import ErrorRules
from processpool.engine.workers.protocol import UNUSUAL, WorkerProtocol
from processpool.errors import AnswerError, CodecError, ProtocolError
from processpool.system.pipes import unread
from processpool.wire.framing.declared import make_framing

if TYPE_CHECKING:
    from processpool.core.jobs import Batch
    from processpool.engine.workers.channel import Channel
    from processpool.engine.workers.readiness import Readiness
    from processpool.engine.workers.stderr import StderrLog
    from processpool.wire.codecs import Codec
    from processpool.wire.framing.declaration import Declaration
    from processpool.wire.python.functions import Task


class CommandProtocol(WorkerProtocol):
    """Requests on a program's stdin, answers on its stdout: by a framing and a codec."""

    answers_in_runs = True

    def __init__(
        self,
        channel: Channel,
        declaration: Declaration,
        codec: Codec,
        stderr: StderrLog,
        readiness: Readiness,
    ) -> None:
        super().__init__(channel)
        self._stdout = channel.stdout
        self._unsent = channel.unsent
        self._framing = framing = make_framing(declaration)
        self.advice = framing.advice
        self.exit_message = framing.exit_message
        self._expect = framing.expect if framing.expects else None
        self._errors = ErrorRules(declaration, codec, stderr) if declaration.has_errors else None
        self._notes = framing.expects or declaration.has_errors
        """True if `_begin` is to be called with every request."""
        self._readiness = readiness
        self._received = 0
        self._last_answer: int | None = None
        """The number of its last answer, if it has said that it is leaving."""
        self._whole = framing.whole
        self._decode, self._decode_many = codec.decode, codec.decode_many
        self._last_request = 0
        self._open: deque[Batch] = deque()
        """Batches that it was sent, the last of their items not answered yet."""
        self._answered = 0
        """Answers that have come to items of these."""

    def stage_batch(self, batch: Batch) -> None:
        """Put a batch down as bytes to be written."""
        self._forget_answered()
        self._open.append(batch)
        payloads = batch.payloads
        if self._notes:
            self._begin(*payloads)
        self._stage(list(chain.from_iterable(payloads)))

    def stage_one(self, payload: tuple[bytes, ...], task: Task | None) -> None:
        """Put one request down as bytes to be written."""
        self._begin(payload)
        self._stage(payload)

    def _begin(self, *payloads: tuple[bytes, ...]) -> None:
        """Note requests that are about to be written."""
        if self._expect is not None:
            for payload in payloads:
                self._expect(payload)
        if self._errors is not None:
            self._errors.begin()

    def small_request(self, payload: tuple[bytes, ...], task: Task | None) -> bytes | None:
        """The bytes of a request that takes no more than one write; None for others."""
        if len(payload) > 1 or self._unsent:
            return None
        if self._notes:
            self._begin(payload)
        data = payload[0]
        self._last_request = len(data)
        return data

    @property
    def was_asked(self) -> bool:
        """True if a request was sent to it, or put down to be."""
        return bool(self._last_request)

    def _stage(self, buffers: list[bytes] | tuple[bytes, ...]) -> None:
        self._last_request = size = sum(map(len, buffers))
        self._channel.put_down(buffers, size)

    def send_next(self, batch: Batch) -> bool:
        """Write one item to a worker that has answered all others; False if the pipe is full."""
        payload = batch.items[batch.lo]
        if len(payload) > 1 or self._unsent:
            return super().send_next(batch)
        self._open.clear()
        self._open.append(batch)
        self._answered = 0
        if self._notes:
            self._begin(payload)
        data = payload[0]
        self._last_request = len(data)
        return self._channel.write_one(data)

    def receive_one(self) -> Any:
        """The value of the answer that can be read now, if it is exactly one; else `UNUSUAL`."""
        try:
            data = os.read(self._stdout, SMALL_READ)
        except BlockingIOError:
            return UNUSUAL
        return self._take_one(data)

    def _take_one(self, data: bytes) -> Any:
        """The value of what was read, if it is exactly one answer; else `UNUSUAL`."""
        answer = self._whole(data)
        if answer is None:
            return self._read_early(data)
        self._answered += 1
        self._received += 1
        self.undecoded = answer
        if self._errors is None:
            try:
                return self._decode(answer)
            except (AnswerError, CodecError):
                pass
        else:
            self._errors.look()
            value = self.value_of(answer)
            if type(value) is not Reply:
                return value
        self.early.append(answer)  # it becomes an error where all of it is seen to
        return UNUSUAL

    def _read_early(self, data: bytes) -> Any:
        """Take what was read and is not one whole answer; return `UNUSUAL`."""
        if not data:
            self._channel.on(ChannelEvent.STDOUT_CLOSED)
        else:
            if len(data) == SMALL_READ:
                self._channel.widen()
            self.early += self.feed(data)
        return UNUSUAL

    def feed(self, data: bytes) -> list[bytes]:
        """The answers that these bytes complete."""
        answers = self._framing.feed(data)
        if self._framing.asks_back:
            self._channel.write_on(self._framing.take_replies())
        self._answered += len(answers)
        self._received += len(answers)
        return answers

    def only_answer(self, data: bytes) -> Any:
        """The value of an answer, or a `Reply`, if these bytes are one whole answer."""
        answer = self._whole(data)
        if answer is None:
            return super().only_answer(data)
        self._received += 1
        value = self.value_of(answer)
        if self._errors is not None and self._errors.spent:
            self.early = [answer]
            return UNUSUAL
        return value

    def decode(self, answers: list[bytes]) -> tuple[list[Any], bool]:
        """The values of answers, and whether all are plain; bad ones become a `Reply`."""
        plain = self.plain_values(answers)
        if plain is not None:
            return plain, True
        values = [self.value_of(answer) for answer in answers]
        return values, not any(type(value) is Reply for value in values)

    def plain_values(self, answers: list[bytes]) -> list[Any] | None:
        """The values of answers, if there is nothing else to say of any."""
        if self._errors is not None:
            return None
        try:
            return self._decode_many(answers)
        except (AnswerError, CodecError):
            return None

    def value_of(self, answer: bytes) -> Any:
        """The value of one answer, or a `Reply`."""
        if self._errors is not None:
            error = self._errors.error_of(answer)
            if error is not None:
                return Reply(error=error, raw=answer)
        try:
            return self._decode(answer)
        except (AnswerError, CodecError) as problem:
            return Reply(error=problem, raw=answer)

    @property
    def is_clean(self) -> bool:
        """True if nothing of an unfinished answer has arrived, nor an error that ends it."""
        if self._errors is not None and self._errors.spent:
            return False
        return self._framing.error is None and self._framing.is_clean

    @property
    def has_surplus(self) -> bool:
        """True if behind its last answer came something that may belong to another one."""
        return self._framing.error is not None or not self._framing.is_clean

    def is_leaving(self) -> bool:
        """True if it has said that it begins nothing after its last answer."""
        if self._readiness.fd >= 0 and self._last_answer is None:
            with suppress(OSError):
                said = os.read(self._readiness.fd, 32).strip()
                if said.startswith(b"."):
                    self._last_answer = int(said[1:])
        return self._last_answer is not None

    def has_begun(self, *, is_waiting: bool) -> bool:
        """False if a worker that is dead has read nothing of what it has not answered."""
        if self.is_leaving() and self._received == self._last_answer:
            return False
        if self._channel.process.stdin < 0:
            return True
        self._forget_answered()
        if is_waiting and not self._open:
            return False
        sent = self._open_bytes() if self._open else self._last_request
        return not sent or self._unread_bytes() < sent

    def is_torn(self) -> bool:
        """True if it has read some of its first open request, but not all of it."""
        if self._channel.process.stdin < 0:
            return False
        self._forget_answered()
        if not self._open:  # a worker that is lent, of which only the last request is known
            return 0 < self._unread_bytes() < self._last_request
        first = sum(map(len, self._open[0].payloads[self._answered]))
        behind = self._open_bytes() - first
        return behind < self._unread_bytes() < behind + first

    def _unread_bytes(self) -> int:
        """Bytes of its requests that it has not read."""
        return unread(self._channel.process.stdin) + sum(map(len, self._unsent))

    def _forget_answered(self) -> None:
        while self._open and self._answered >= len(self._open[0]):
            self._answered -= len(self._open.popleft())
        if not self._open:
            self._answered = 0

    def _open_bytes(self) -> int:
        """The size of all requests that it was sent and has not answered."""
        payloads = chain.from_iterable(batch.payloads for batch in self._open)
        return sum(sum(map(len, payload)) for payload in islice(payloads, self._answered, None))

    def fault(self) -> ProtocolError | None:
        """What is wrong with what it has written, if anything is."""
        return self._framing.error

    def cut_off(self) -> ProtocolError | None:
        """Set if its output ended in the middle of an answer."""
        return self._framing.eof()

    def unfinished(self) -> Reply:
        """The bytes that it has written of its answer."""
        return Reply(raw=self._framing.partial or None)
