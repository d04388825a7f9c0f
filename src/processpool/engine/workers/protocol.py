"""What a kind of worker is asked, and how it answers: from batches to bytes, and back.

A protocol turns requests into bytes on its worker's channel, and what comes on the channel into
answers; it knows which of them are due. Who has the worker, when it is asked and who gets the
answers is not its affair.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from processpool.engine.workers.channel import ChannelEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.core.jobs import Batch, Job
    from processpool.core.replies import Reply
    from processpool.engine.workers.channel import Channel
    from processpool.errors import ProtocolError
    from processpool.wire.python.functions import Task

UNUSUAL = object()
"""Instead of an answer: it is not there in one piece."""


class WorkerProtocol(ABC):
    """The requests and answers of one worker, of either kind."""

    advice = ""
    """What to do about a program that does not speak its protocol, where that helps."""
    answers_by_exit = False
    """True if it has one item in its life, and its answer is what it has written when it ends."""
    is_drained = False
    """Of such a one: True once that was read."""
    input_is_complete = False
    """Of such a one: True once it has its item, and is to see the end of its input."""
    answers_in_runs = False
    """True if answers that come several at a time may be plain values."""
    exit_message = b""
    """What is written before the end of its input."""
    seconds_each = 0.0
    """What an item took, if the answers that came last say so; else 0."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.undecoded: Any = None
        """The answer whose value `receive_one` has returned last, as it came."""
        self.early: list[Any] = []
        """Answers that were read, and nobody has taken yet."""
        self.pool = ""
        """The name of the pool, for log records."""
        self.run_user_code: Callable[[Callable[[], object]], None] = _run
        """Where code of the user's is to run, such as log handlers."""

    # -- requests --------------------------------------------------------------------------------

    @abstractmethod
    def stage_batch(self, batch: Batch) -> None:
        """Put a batch down as bytes to be written."""

    @abstractmethod
    def stage_one(self, payload: Any, task: Task | None) -> None:
        """Put one request down as bytes to be written."""

    @abstractmethod
    def small_request(self, payload: Any, task: Task | None) -> bytes | None:
        """The bytes of a request that takes no more than one write; None for others."""

    def send_batch(self, batch: Batch) -> bool:
        """Write a batch to a worker with nothing in its outbox; False if the pipe is full."""
        self.stage_batch(batch)
        return self._channel.write()

    def send_next(self, batch: Batch) -> bool:
        """Write one item to a worker that has answered all others; False if the pipe is full."""
        return self.send_batch(batch)

    # -- answers ---------------------------------------------------------------------------------

    @abstractmethod
    def feed(self, data: bytes) -> list[Any]:
        """The answers that these bytes complete, not decoded yet."""

    @abstractmethod
    def value_of(self, answer: Any) -> Any:
        """The value of one answer, or a `Reply`."""

    @abstractmethod
    def decode(self, answers: list[Any]) -> tuple[list[Any], bool]:
        """The values of answers, and whether all are; others are a `Reply`, or `PickledReply`."""

    def plain_values(self, answers: list[Any]) -> list[Any] | None:
        """The values of answers, if there is nothing else to say of any; otherwise None."""
        return None

    @property
    @abstractmethod
    def is_clean(self) -> bool:
        """True if nothing of an unfinished answer has arrived."""

    @property
    def has_surplus(self) -> bool:
        """Of one that owes nothing: True if behind its last answer came what belongs to none."""
        return False

    def receive(self) -> list[Any]:
        """The answers that are complete now; without waiting."""
        data = self._channel.read()
        return self.feed(data) if data else []

    def receive_all(self) -> list[Any]:
        """The answers that can be read now, all of them."""
        answers: list[Any] = []
        while not self._channel.has_ended and self.fault() is None:
            data = self._channel.read()
            if not data:
                break
            answers += self.feed(data)
        return answers

    def receive_one(self) -> Any:
        """The value of the answer that can be read now, if it is exactly one, whole, and a value.

        Returns:
            `UNUSUAL` if it is not; what has come all the same is in `early_answers` then.
        """
        return self.receive_early()

    def receive_early(self) -> Any:
        """Read what can be read now, for `early_answers`; returns `UNUSUAL`."""
        self.early += self.receive()
        return UNUSUAL

    def only_answer(self, data: bytes) -> Any:
        """The value of an answer, or a `Reply`, if these bytes are one whole answer.

        Returns:
            `UNUSUAL` if they are not; what they complete is in `early_answers` then.
        """
        answers = self.feed(data) if data else self.receive()
        if len(answers) == 1 and self.is_clean:
            return self.value_of(answers[0])
        self.early = answers
        return UNUSUAL

    def early_answers(self) -> list[Any]:
        """What was read, if it was not one whole answer."""
        early, self.early = self.early, []
        return early

    def unsolicited(self, data: bytes) -> bytes:
        """What of this, which came though nobody had asked, nobody may have."""
        return data

    def take_skipped(self) -> tuple[Any, ...]:
        """Messages that came during the last request and were no answers."""
        return ()

    @property
    def progress(self) -> tuple[float, float | None, str] | None:
        """What the running item says of itself: done, total, note."""
        return None

    @property
    def unsent_stderr(self) -> tuple[int, bytes]:
        """What the running item has written to stderr that comes with its answer only.

        Returns:
            how many bytes there are, and the last of them.
        """
        return 0, b""

    def stop_stream(self, job: Job) -> None:  # noqa: B027 - not every kind has any
        """Have it make no more parts of the item of a job."""

    # -- the end ---------------------------------------------------------------------------------

    def drain(self) -> list[Any]:
        """The last answers of a worker that has ended."""
        answers: list[Any] = []
        while self.fault() is None and (data := self._channel.read_last()):
            answers += self.feed(data)
        self._channel.on(ChannelEvent.ENDED)
        return answers

    @abstractmethod
    def has_begun(self, *, is_waiting: bool) -> bool:
        """Of one that reads no more: False if it surely has not begun its first open item.

        Args:
            is_waiting: there is something that was not even put down to be written.
        """

    def is_torn(self) -> bool:
        """Of one that reads no more: True if it has read a part of its first open request only."""
        return False

    def dump_stacks(self) -> bool:
        """Have it write down where its threads are, or tell it that its time is over.

        Returns:
            False where a kind can do neither.
        """
        return False

    def died_loading(self) -> bool:
        """Of a worker that is dead: True if a batch killed it before any item of it began."""
        return False

    def is_leaving(self) -> bool:
        """True if it has said that it begins nothing any more."""
        return False

    @abstractmethod
    def fault(self) -> ProtocolError | None:
        """What is wrong with what it has written, if anything is."""

    def cut_off(self) -> ProtocolError | None:
        """Of a worker whose output has ended: what is wrong with where it ended."""
        return None

    @abstractmethod
    def unfinished(self) -> Reply:
        """What there is of the answer to an item that will never be answered."""

    def close(self) -> None:  # noqa: B027 - a program has nothing beside
        """Close what is open beside the channel."""


def _run(action: Callable[[], object]) -> None:
    action()
