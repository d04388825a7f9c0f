"""A worker that has one item in its life, and answers it by what it has written when it ends."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from processpool.core.replies import Reply
from processpool.engine.workers.command import CommandWorker
from processpool.engine.workers.failures import quote_stderr
from processpool.engine.workers.worker import UNUSUAL
from processpool.errors import AnswerError, CodecError
from processpool.system.process import describe_exit

if TYPE_CHECKING:
    from processpool.system.process import Process
    from processpool.wire.codecs import Codec
    from processpool.wire.framing.declaration import Declaration
    from processpool.wire.framing.oneshot import OneshotFraming


class OneshotWorker(CommandWorker):
    """A process that reads its input to the end, writes an answer and ends.

    All that it writes belongs to its item, from its start on, as if it had been started for it.
    """

    answers_by_exit = True
    says_more = False
    framing: OneshotFraming

    def __init__(self, number: int, process: Process, protocol: Declaration, codec: Codec) -> None:
        super().__init__(number, process, protocol, codec, ready=-1)
        self._codec = codec
        self.foreign = False
        self.lingers = self.trial = 0
        self._asked = self._drained = False

    def _begin(self, *payloads: tuple[bytes, ...]) -> None:
        """Note that it has its item: what it wrote to stderr before belongs to that, too."""
        self._asked = True

    def _stage(self, buffers: list[bytes] | tuple[bytes, ...]) -> None:
        self._asked = True
        super()._stage(buffers)

    def _write(self) -> bool:
        done = super()._write()
        if self.nobody_reads:  # it may well answer without its input, or with a part of it
            self.nobody_reads = False
            self._unsent.clear()
        return done

    def end_input(self) -> None:
        """Let it see the end of its input, once its item is written."""
        if self._asked and not self._unsent and not self.closed:
            self.process.close_stdin()

    def receive_one(self) -> Any:
        """Keep what can be read now: an answer it is only when the process has ended."""
        self.receive()
        return UNUSUAL

    def stray_output(self) -> bytes:
        """Nothing: whatever it writes belongs to its item."""
        if not self.closed:
            self.stderr.read()
            self.ended = self.ended or self.process.wait(0)
        return b""

    def drain(self) -> list[Any]:
        """The answer of a worker that has ended by itself, once."""
        super().drain()
        if not self._asked or self._drained or self.fault() is not None or self.process.reap() < 0:
            return []
        self._drained = True
        return [self.framing.finish()]

    def decode(self, answers: list[bytes]) -> tuple[list[Any], bool]:
        """The value of its answer, and whether it is one; an error becomes a `Reply`."""
        values = [self.value_of(answer) for answer in answers]
        return values, not any(type(value) is Reply for value in values)

    def value_of(self, answer: bytes) -> Any:
        """The value of its answer; a `Reply` if its exit status is not 0."""
        status = self.process.reap()
        if not status:
            return super().value_of(answer)
        error = AnswerError(
            f"the program {describe_exit(status)}{quote_stderr(self.stderr.request)}"
        )
        try:
            error.value = self._codec.decode(answer)
        except (AnswerError, CodecError):
            error.value = answer
        return Reply(error=error, raw=answer)

    def ask_to_exit(self) -> None:
        """Terminate it: at the end of its input it would do its work with an empty message."""
        self.process.signal_group(signal.SIGTERM)

    @property
    def has_surplus(self) -> bool:
        """Never: all that it writes is its answer."""
        return False
