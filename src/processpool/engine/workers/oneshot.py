"""A process that has one item in its life, and answers it by what it has written when it ends.

All that it writes belongs to its item, from its start on, as if it had been started for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.core.replies import Reply
from processpool.core.terms import TracedMessage
from processpool.engine.workers.command import CommandProtocol
from processpool.engine.workers.failures import quote_stderr
from processpool.engine.workers.protocol import UNUSUAL
from processpool.errors import AnswerError, CodecError
from processpool.system.process import describe_exit

if TYPE_CHECKING:
    from processpool.core.jobs import Batch
    from processpool.engine.workers.channel import Channel
    from processpool.engine.workers.readiness import Readiness
    from processpool.engine.workers.stderr import StderrLog
    from processpool.wire.codecs import Codec
    from processpool.wire.framing.declaration import Declaration
    from processpool.wire.framing.oneshot import OneshotFraming
    from processpool.wire.python.functions import Task


class OneshotProtocol(CommandProtocol):
    """A message is the input of a process, to its end; its output, to its end, the answer."""

    answers_by_exit = True
    _framing: OneshotFraming

    def __init__(
        self,
        channel: Channel,
        declaration: Declaration,
        codec: Codec,
        stderr: StderrLog,
        readiness: Readiness,
    ) -> None:
        super().__init__(channel, declaration, codec, stderr, readiness)
        self._stderr = stderr
        self._asked = False

    def _begin(self, *payloads: tuple[bytes, ...]) -> None:
        """Nothing is to be noted: what it wrote to stderr before belongs to its item, too."""

    def _stage(self, buffers: list[bytes] | tuple[bytes, ...]) -> None:
        self._asked = True
        super()._stage(buffers)

    def send_next(self, batch: Batch) -> bool:
        """Write its one item; False if the pipe is full."""
        self.stage_batch(batch)
        return self._channel.write()

    @property
    def input_is_complete(self) -> bool:  # type: ignore[override]
        """True once it has its item, and is to see the end of its input."""
        return self._asked and not self._unsent

    def receive_one(self) -> Any:
        """Keep what can be read now: an answer it is only when the process has ended."""
        self.receive()
        return UNUSUAL

    def unsolicited(self, data: bytes) -> bytes:
        """Nothing: whatever it writes belongs to its item."""
        self.feed(data)
        return b""

    def drain(self) -> list[Any]:
        """The answer of a process that has ended by itself, once."""
        super().drain()
        was_drained, self.is_drained = self.is_drained, True
        status = self._channel.process.reap()
        if was_drained or not self._asked or self.fault() is not None or status < 0:
            return []
        return [self._framing.finish()]

    def decode(self, answers: list[bytes]) -> tuple[list[Any], bool]:
        """The value of its answer, and whether it is one; an error becomes a `Reply`."""
        values = [self.value_of(answer) for answer in answers]
        return values, not any(type(value) is Reply for value in values)

    def value_of(self, answer: bytes) -> Any:
        """The value of its answer; a `Reply` if its exit status is not 0."""
        status = self._channel.process.reap()
        if not status:
            return super().value_of(answer)
        stderr = quote_stderr(self._stderr.request)
        error = AnswerError(f"the program {describe_exit(status)}{stderr}")
        try:
            error.value = self._decode(answer)
        except (AnswerError, CodecError):
            error.value = answer
        return Reply(error=error, raw=answer)

    def has_begun(self, *, is_waiting: bool) -> bool:
        """True once it was asked: it may do its work without having read anything."""
        return self._asked

    def is_torn(self) -> bool:
        """Never: it may answer though it has read a part of its input only."""
        return False

    @property
    def has_surplus(self) -> bool:
        """Never: all that it writes is its answer."""
        return False


class TracedOneshot(OneshotProtocol):
    """The same behind a shell, which reads the span that the item is below and becomes the program.

    So its environment names that of its own item, though it was started before.
    """

    def stage_batch(self, batch: Batch) -> None:
        """Put its item down as bytes to be written, behind the line with the span."""
        self._unsent.append(batch.job.terms.within + b"\n")
        super().stage_batch(batch)

    def stage_one(self, payload: tuple[bytes, ...], task: Task | None) -> None:
        """Put the item of a call down, behind the line with its span."""
        within = payload.within if type(payload) is TracedMessage else b""
        self._unsent.append(within + b"\n")
        super().stage_one(payload, task)

    def small_request(self, payload: tuple[bytes, ...], task: Task | None) -> bytes | None:
        """Nothing: the line comes first."""
        return None
