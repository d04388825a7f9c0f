"""Items on their way: a batch is what travels, a job is where the answers go.

Everything the pool moves is a `Batch`: consecutive items of one job that travel together. The
scheduler counts, splits and orders batches; it never looks into an item. A `submit` is a job with
one item, a `map` a job with many.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from processpool.core.outcome import Outcome
from processpool.core.replies import Reply, format_reply_error, has_failed, loaded
from processpool.core.terms import USUAL, Terms
from processpool.system.interrupts import SHIELD

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Origin:
    """Which worker gave a run of answers, and when.

    `plain` says that all of them are values, `failed` how many are known to be errors; `since` and
    `until` are monotonic seconds.
    """

    worker_id: int
    pid: int
    since: float
    until: float
    stderr: str = ""
    plain: bool = True
    failed: int = 0
    each: float = 0.0
    """Seconds that an item took by the worker's own clock; 0 if it does not say so."""
    slot: int | None = None
    peak_memory: int | None = None
    """The most bytes that the worker had in memory lately; None if that is not known."""
    memory: int = 0
    """The same, if that is news; else 0."""
    skipped: tuple[Any, ...] = ()
    """Messages that came and were no answers."""


class Timing(NamedTuple):
    """Where and when an item ran, without its answer."""

    worker_id: int
    """The worker that had it; 0 if it never reached one."""
    pid: int
    attempts: int
    queued: float
    """Seconds for which it had waited."""
    seconds: float
    """Seconds for which the worker had it."""
    error: str
    """Why it failed; empty if it did not."""

    @classmethod
    def of(cls, record: Outcome) -> Timing:
        """Return what the record of an item says of that."""
        error = "" if record.error is None else type(record.error).__name__
        who = record.worker_id or 0, record.pid or 0, record.attempts
        return cls(*who, record.queued, record.seconds, error)


class Arguments(tuple[Any, ...]):
    """The arguments of a call of which some are given by keyword."""

    keywords: dict[str, Any]
    """Those that are."""

    @classmethod
    def of(cls, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
        """Return the arguments of a call; a plain tuple if none is given by keyword."""
        if not keywords:
            return tuple(args)
        arguments = cls(args)
        arguments.keywords = keywords
        return arguments


class Batch:
    """Consecutive items of one job: the range from `lo` to `hi` of a sequence shared with others.

    The item `items[i]` has the index `base + i` in its job. Splitting a batch copies nothing,
    however many items it has; what the parts share is released part by part, as they end.
    """

    __slots__ = (
        "attempts", "base", "hi", "history", "items", "job", "lo", "queued_at", "sent_at",
    )  # fmt: skip

    def __init__(self, job: Job, start: int, items: Sequence[Any], queued_at: float) -> None:
        """Take all of `items`, the first with the index `start`; a list belongs to the batch."""
        self.job = job
        self.items = items
        self.base = start
        self.lo = 0
        self.hi = len(items)
        self.queued_at = queued_at
        self.sent_at = queued_at
        self.attempts = 0
        self.history: tuple[Attempt, ...] = ()
        """The earlier attempts, of a batch with one item."""

    def __len__(self) -> int:
        return self.hi - self.lo

    def __repr__(self) -> str:
        return f"<Batch {self.start}+{len(self)}>"

    @property
    def start(self) -> int:
        """The index of its first item."""
        return self.base + self.lo

    @property
    def payloads(self) -> Sequence[Any]:
        """Its items, in order."""
        return self.items[self.lo : self.hi]

    def split(self, count: int) -> tuple[Batch, Batch]:
        """Split it into the first `count` items and the others."""
        middle = min(self.lo + count, self.hi)
        return self._part(self.lo, middle), self._part(middle, self.hi)

    def advance(self, count: int) -> Batch:
        """Take off the first `count` items, as a batch of their own; the others stay."""
        first = self._part(self.lo, self.lo + count)
        self.lo = first.hi
        return first

    def step(self, queued: Batch) -> bool:
        """Become the next item of a queued batch, if that is one of the same list.

        For a batch of one item that has ended: a map of a million items needs no million batches.
        """
        if queued.items is not self.items or queued.hi - queued.lo < 2:
            return False
        self.lo = queued.lo
        queued.lo = self.hi = queued.lo + 1
        self.attempts = queued.attempts
        return True

    def forget(self) -> None:
        """Release its payloads: its items have ended, and none of them will be tried again."""
        if type(self.items) is list:  # one item alone may come in a tuple, and goes with the batch
            self.items[self.lo : self.hi] = [None] * (self.hi - self.lo)

    def _part(self, lo: int, hi: int) -> Batch:
        part = Batch(self.job, self.base, self.items, self.queued_at)
        part.lo, part.hi = lo, hi
        part.sent_at = self.sent_at
        part.attempts = self.attempts
        part.history = self.history
        return part

    def outcome(
        self, offset: int, answer: Any, origin: Origin, args: tuple[Any, ...] = (), **how: bool
    ) -> Outcome:
        """Return the record of the item at `offset`; its answer is loaded for that.

        Args:
            offset: how many items are before it.
            answer: what has come back.
            origin: from where.
            args: what it was called with.
            **how: `safely=True` runs none of the user's code to say in a note which item it is.
        """
        answer = loaded(answer)
        naming = self.job.naming
        reply = answer if type(answer) is Reply else Reply(answer)
        record = Outcome(
            index=self.start + offset,
            value=reply.value,
            error=reply.error,
            stdout=_stdout_of(reply),
            stderr=origin.stderr if reply.stderr is None else reply.stderr,
            worker_id=origin.worker_id or None,
            pid=origin.pid or None,
            slot=origin.slot,
            attempts=max(self.attempts, 1),
            queued=max(self.sent_at - self.queued_at, 0.0),
            seconds=max(origin.until - origin.since, 0.0),
            peak_memory=origin.peak_memory,
            raw=reply.raw,
            skipped=origin.skipped,
            history=tuple(attempt.record for attempt in self.history),
            args=tuple(args),
            kwargs=args.keywords if type(args) is Arguments else {},
            name="" if naming is None else naming.name,
            started=None if naming is None else naming.wall_clock(origin.since),
        )
        if record.error is not None and naming is not None:
            naming.mark(record, **how)
        return attach(record)

    def attempt(
        self, offset: int, answer: Any, origin: Origin, args: tuple[Any, ...] = ()
    ) -> Attempt:
        """Return what has become of the item at `offset` so far."""
        item = Batch(self.job, self.start + offset, (), self.queued_at)
        item.sent_at = self.sent_at
        item.attempts = self.attempts
        item.history = self.history
        return Attempt(item, answer, origin, args)


class Attempt:
    """What has become of one item; its record is made when somebody looks at it."""

    __slots__ = ("_answer", "_args", "_batch", "_origin", "_record")

    def __init__(
        self, batch: Batch, answer: Any, origin: Origin, args: tuple[Any, ...] = ()
    ) -> None:
        """`batch` begins with the item, and does not have its payload."""
        self._batch = batch
        self._answer = answer
        self._origin = origin
        self._args = args
        self._record: Outcome | None = None

    @property
    def facts(self) -> tuple[Any, Origin, int]:
        """What it was made of: the answer, from where, and how many attempts that was."""
        return self._answer, self._origin, self._batch.attempts

    @property
    def timing(self) -> Timing:
        """Where and when it ran; its answer is left as it is."""
        batch, origin, answer = self._batch, self._origin, self._answer
        if self._record is not None:
            return Timing.of(self._record)
        error = format_reply_error(answer) if has_failed(answer) else ""
        queued, seconds = batch.sent_at - batch.queued_at, origin.until - origin.since
        who = origin.worker_id, origin.pid, max(batch.attempts, 1)
        return Timing(*who, max(queued, 0.0), max(seconds, 0.0), error)

    @property
    def record(self) -> Outcome:
        """The record of the item; loading its answer may run the user's code."""
        answer = self._answer  # looked at first: another thread may be about to drop it
        if self._record is None:
            self._record = self._batch.outcome(0, answer, self._origin, self._args)
            self._answer = None
        return self._record


class Retirement(Attempt):
    """That the worker of an item was replaced since the item had asked for another one."""

    __slots__ = ()

    @classmethod
    def of(cls, attempt: Attempt) -> Retirement:
        """The same as what it was: a retirement."""
        return cls(attempt._batch, attempt._answer, attempt._origin)


def attach(record: Outcome) -> Outcome:
    """Attach a record to its error, if the error takes attributes."""
    if record.error is not None:
        try:
            record.error.record = record  # type: ignore[attr-defined]
        except BaseException as error:  # a class with __slots__, or with a mind of its own
            if SHIELD.has_raised(error):
                raise
    return record


def _stdout_of(reply: Reply) -> str:
    if reply.stdout is not None:
        return reply.stdout
    return reply.value if isinstance(reply.value, str) else ""


class Naming(Protocol):
    """What the items of a job are called, for their records."""

    @property
    def name(self) -> str:
        """The name of the map, or of the function."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not show."""

    def mark(self, record: Outcome, *, safely: bool = False) -> None:
        """Say on the error of a record which item it is of; `safely`: without the user's code."""

    def arguments(self, args: tuple[Any, ...], *, most: int) -> str:
        """Return a short text for arguments, without running the user's code."""

    def wall_clock(self, at: float) -> float:
        """Return what `time.time()` was when the monotonic clock said this."""


class Job(ABC):
    """Where answers go. The engine calls `begin` under its lock, everything else outside of it."""

    __slots__ = (
        "begun", "cancelled", "killed", "number", "queued", "recalled", "task", "terms", "timeout",
        "window",
    )  # fmt: skip

    def __init__(self, timeout: float | None, number: int = 0, terms: Terms = USUAL) -> None:
        self.number = number
        """The number of a map; 0 for a single request."""
        self.timeout = timeout
        """Seconds that one item may take, from its hand-over; None for no limit."""
        self.terms = terms
        """How urgent its items are, and how often they are tried."""
        self.task: Any = None
        """What workers are to do with its items; None where they know."""
        self.window: int | None = None
        """Items of this job that a worker may have at a time; None for the pool's default."""
        self.begun = False
        """Set by the scheduler: an item of it has been handed over."""
        self.killed = False
        """Set by the scheduler: a worker is ended as soon as it comes to an item of this job."""
        self.cancelled = False
        """Set by the scheduler: what has not started never starts."""
        self.recalled = False
        """Set when its one item was taken back, from a worker or from the queue, for good."""
        self.queued = 0
        """Kept by the scheduler: how many items of this job wait in the queue."""

    naming: Naming | None = None
    """What its items are called; None if nobody has said so."""
    is_errand = False
    """True if each of its items is for one worker, and for no other."""
    wants_parts = False
    """True if the parts of its item may be read before the end."""
    takes_values = False
    """True if `put` may be called for an item with a plain value, instead of `deliver`."""

    def put(self, index: int, value: Any) -> None:  # noqa: B027 - for those that take values
        """An item has this value, and there is nothing else to say of it."""

    def note_run(  # noqa: B027 - for those that take values
        self, place: int, worker_id: int, index: int, count: int, since: float, until: float,
        wait: float, memory: int,
    ) -> None:  # fmt: skip
        """Note when a worker had items whose values were `put`, and its memory unless it is 0."""

    def args_of(self, item: Any) -> tuple[Any, ...]:
        """Return the arguments that an item stands for."""
        return (item,)

    def describe(self, index: int, item: Any) -> str:
        """Return a short text for an item that travels, or "" if there is none."""
        return ""

    def begin(self) -> None:  # noqa: B027 - most have no use for it
        """Note that an item has been handed over, perhaps not for the first time."""

    def echo(self, number: int, printed: bytes) -> None:  # noqa: B027 - most have no use for it
        """Show what a running item has printed to 1 (stdout) or 2 (stderr)."""

    def part(self, part: Any, source: Any) -> None:  # noqa: B027 - most have no use for it
        """Take a part of a running item; `source.taken(n)` says that so many were taken."""

    def revoke(self) -> None:  # noqa: B027 - most have no use for it
        """Its only item was taken back, and will never start."""

    def lend(self, parts: Any) -> None:  # noqa: B027 - most have no use for it
        """Take a generator in this process, as all parts of an item."""

    @abstractmethod
    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Take the answers of all items of `batch`, in order: values, or `Reply` objects."""

    @abstractmethod
    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """Give up the items of `batch`, which never start: for `error`, or None if cancelled."""
