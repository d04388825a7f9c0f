"""What all kinds of map have in common, and maps as the displays see them.

`maps` has those of the pool, `async_maps` those of an event loop, `executors.mapping` those of an
executor. Each is a `MapJob` around a `MapState`: the job has the engine, a lock and a way to wake
its consumer; the state knows how far the map is.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from processpool.api.map_state import SKIPPED, Run
from processpool.core.batch_size import Pace
from processpool.core.glimpses import small
from processpool.core.jobs import Attempt, Batch, Job, Origin, attach
from processpool.core.outcome import Outcome
from processpool.core.replies import Reply, format_reply_error, has_failed, load_all
from processpool.core.run_record import RunRecord
from processpool.core.snapshot import MapSnapshot
from processpool.core.terms import USUAL, Terms
from processpool.system.clock import wall_clock
from processpool.wire.python.arguments import Pickled
from processpool.wire.python.layout import STAR
from processpool.wire.python.remote_errors import format_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processpool.api.answered import Retry
    from processpool.api.inputs import AllInputs, OpenInputs
    from processpool.api.item_notes import Naming
    from processpool.api.map_input import InputChunk
    from processpool.api.map_state import MapState
    from processpool.api.view import Follower
    from processpool.engine.backend import Backend
    from processpool.wire.python.functions import Task

OnError = Literal["raise", "return", "skip"]

WORTH_KEEPING = 0.25
"""Seconds that a map must have taken to be remembered, unless it ended early or was shown."""

_OURS = "processpool."
SHOWN = 80
"""Characters of the text for a running item."""
_numbers = count(1)


class MapJob(Job):
    """A job of many items, whose progress can be seen, and which can be stopped from outside.

    `deliver`, `drop` and `echo` may be called on any thread. They take no lock but the map's own,
    and call neither the user's code nor anything that takes the engine's lock.
    """

    def __init__(
        self,
        engine: Backend,
        state: MapState,
        task: Task | None,
        timeout: float | None,
        *,
        naming: Naming | None = None,
        progress: bool | str | None = None,
        buffersize: int | None = None,
        terms: Terms = USUAL,
        follower: Follower | None = None,
    ) -> None:
        """Begin with nothing read.

        Args:
            engine: whose workers do it.
            state: where it stands.
            task: what they are to do, where they must be told.
            timeout: seconds that one item may take; None for no limit.
            naming: what its items are called.
            progress: whether the user wants to see it, and under which label.
            buffersize: how many items may be read beyond what was taken, if the user has said.
            terms: how urgent its items are, and how often they are tried.
            follower: is told of its beginning and its end.
        """
        super().__init__(timeout, next(_numbers), terms)
        self.task = task
        self.naming = naming
        name = f"map {self.number}" if naming is None or not naming.name else naming.name
        self.label = progress if isinstance(progress, str) else name
        self._is_spread = task is not None and bool(task.style & STAR)
        self._engine = engine
        self._state = state
        self._progress = progress
        self._buffersize = buffersize
        self._pace = _pace_of(engine, task)
        self.window = None if self._pace is None else self._pace.window
        began = monotonic()
        self.run_record = RunRecord(
            self.number, self.label, began, began_at=wall_clock(began), slots=engine.policy.max
        )
        """How it runs; written under the lock of the map."""
        self._follower = follower
        self._is_over = False
        self._last: MapSnapshot | None = None
        """How far it was when it ended."""
        self.retry: Retry | None = None
        """Runs items of it once more; None if that cannot be done."""

    _inputs: OpenInputs | AllInputs | None = None
    """What its items were before they were packed, if that is known."""

    @abstractmethod
    def stop(self) -> None:
        """End the map from outside: its consumer gets `CancelledError`."""

    def snapshot(self) -> MapSnapshot:
        """Return how far it is, or was when it ended."""
        return self._last or self._snapshot()

    def _snapshot(self) -> MapSnapshot:
        done, failed, cancelled, total = self._state.counts(over=self._is_over)
        seconds = monotonic() - self.run_record.began
        return MapSnapshot(self.number, self.label, done, failed, total, seconds, cancelled)

    def look(self) -> RunRecord:
        """Return how it has run so far."""
        now = self.snapshot()
        self.run_record.note_counts(now.done, now.failed, now.cancelled, now.total)
        return self.run_record

    def _note_spoilt(self, run: Run, records: Sequence[Outcome]) -> None:
        """Some of these have failed only now: their answers cannot be unpickled here."""
        for record in records:
            known = has_failed(run.answers[record.index - run.start])
            if record.error is not None and not known:
                text = format_error(record.error)
                self.run_record.note_failure(record.index, text, record)
                self._engine.maps.failures.add(text, record, self.label, self.retry)

    def _note_error(self, error: BaseException) -> None:
        """It ends early, for this."""
        if isinstance(error, GeneratorExit):
            self.run_record.why = "its consumer took no more answers"
        else:
            self.run_record.why = format_error(error).removesuffix(": ")

    def _note_input(self, chunk: InputChunk) -> None:
        """A chunk of the input was read."""
        record = self.run_record
        record.phases.reading += chunk.reading
        record.phases.packing += chunk.packing
        if chunk.ended:
            record.input_ended = monotonic()

    def _ahead(self) -> int:
        """How many items are read before they are needed: enough to keep every worker busy."""
        if self._buffersize is not None:
            return self._buffersize
        capacity = self._capacity()
        return min(2 * capacity, self._engine.max_pending + capacity)

    def _capacity(self) -> int:
        """Items that the workers may have, all of them together."""
        policy = self._engine.policy
        return policy.max * (self.window or policy.window)

    def _learn_pace(self, batch: Batch, origin: Origin) -> None:
        """Learn from answers how many items a worker may have from now on."""
        if self._pace is not None:
            seconds = origin.each * len(batch) or origin.until - origin.since
            self._pace.learn(len(batch), seconds)
            if self._pace.window != self.window:
                self.window = self._pace.window
                self._state.allow(self._ahead())

    def args_of(self, item: Any) -> tuple[Any, ...]:
        """Return the arguments that an item stands for."""
        return args_of(item, spread=self._is_spread)

    def describe(self, index: int, item: Any) -> str:
        """Return a short text for an item that travels."""
        if self.naming is None:
            return ""
        known = item if self._inputs is None else self._inputs.peek(index)
        return self.naming.arguments(self.args_of(known), most=SHOWN)

    def _record(
        self, batch: Batch, answers: list[Any], origin: Origin, items: Sequence[Any] | None = None
    ) -> bool:
        """Note answers that are more than values; True if the consumer is to be woken."""
        if items is None:
            items = batch.payloads if self.task is not None else ()
        run = Run(batch, answers, origin, items)
        failed = 0 if self.cancelled else run.failed
        self._note_run(batch, origin, items, failed)
        if failed:
            self._note_failures(run)
        return self._state.record(run, cancelled=self.cancelled)

    def _note_run(
        self, batch: Batch, origin: Origin, items: Sequence[Any] | None = None, failed: int = 0
    ) -> None:
        """Under the lock: a worker has answered these items."""
        if origin.worker_id:
            item = items[0] if items else batch.items[batch.lo]
            self.run_record.note(
                origin.slot or 0,
                origin.worker_id,
                batch.start,
                len(batch),
                origin.since,
                origin.until,
                batch.sent_at - batch.queued_at,
                failed,
                item.item if type(item) is Pickled else item,
            )
            if origin.memory:
                self.run_record.note_memory(origin.slot or 0, origin.until, origin.memory)

    def _note_failures(self, run: Run) -> None:
        for offset, answer in enumerate(run.answers):
            if has_failed(answer):
                args = run.args(offset)
                attempt = run.batch.attempt(offset, answer, run.origin, small(args) or ())
                text = format_reply_error(answer)
                self.run_record.note_failure(run.start + offset, text, attempt)
                whole = run.attempt(offset, answer)
                light = attempt if small(args) is None else None
                name = "" if self.task is None else self.task.function.name
                self._engine.maps.failures.add(text, whole, self.label, self.retry, light, name)

    def _refuse(self, index: int, error: BaseException, item: Any = None) -> None:
        """Answer an item that cannot be sent with the error that says so."""
        now = monotonic()
        origin = Origin(0, 0, now, now, plain=False, failed=1)
        self.deliver(Batch(self, index, (item,), now), [Reply(error=error)], origin)

    def _cancel_soon(self) -> None:
        """Have nothing more of it started. Takes no lock, so it may be called under any."""
        self._engine.cancel(self, kill=False, soon=True)

    @property
    def is_over(self) -> bool:
        """True once it has ended."""
        return self._is_over

    @property
    def is_wanted(self) -> bool:
        """True if its user has asked to see it."""
        return bool(self._progress)

    def _appear(self) -> None:
        """List it among the maps in progress."""
        self._engine.maps.running[self.number] = self
        if self._follower is not None:
            self._follower.began(self)

    @property
    def is_followed(self) -> bool:
        """True if something shows it where it runs."""
        return self._follower is not None and self._follower.shows

    def _say_goodbye(self, *, left_early: bool = False) -> None:
        """Tell its follower that it has ended, or that its consumer takes no more answers."""
        if self._follower is None:
            return
        if left_early:  # perhaps by the garbage collector
            self._follower.left(self)
        else:
            self._follower.ended(self)

    def _vanish(self) -> None:
        """List it among the maps that have ended; may be called more than once."""
        maps = self._engine.maps
        if self.number in maps.running and not self._is_over:
            self._is_over = True
            self.run_record.ended = monotonic()
            self._last = last = self._snapshot()  # what comes now comes too late, for all alike
            maps.recorded.append(self.look())
            shown = bool(self._progress) or not last.complete or last.seconds >= WORTH_KEEPING
            maps.end(last, remember=shown)


def args_of(item: Any, *, spread: bool) -> tuple[Any, ...]:
    """Return the arguments that an item stands for; `spread` says that there are several."""
    if type(item) is Pickled:
        item = item.item
    return item if spread and type(item) is tuple else (item,)


def _pace_of(engine: Backend, task: Task | None) -> Pace | None:
    """Return what learns how many items a worker may have; None where that is fixed."""
    target = engine.policy.target
    if target is not None:
        return Pace(target)
    return None if task is None else Pace()


def load_run(
    run: Run, *, details: bool, on_error: OnError
) -> tuple[list[Any], int, BaseException | None]:
    """Unpickle the answers of a run, which may run the user's code.

    Returns:
        What the consumer gets for each item, or `SKIPPED`; how many have failed only now, since
        they cannot be unpickled; and, with `on_error="raise"`, the first error, before which the
        values end.
    """
    values = load_all(run.answers)
    if not (details or any(type(value) is Reply for value in values)):
        return values, 0, None
    spoilt = 0
    for offset, value in enumerate(values):
        record = run.outcome(offset, value)
        run.records.append(record)
        if record.error is None:
            values[offset] = record if details else record.value
            continue
        spoilt += not has_failed(run.answers[offset])
        if on_error == "raise":
            return values[:offset], spoilt, raisable(record.error)
        if on_error == "skip":
            values[offset] = SKIPPED
        else:
            values[offset] = record if details else record.error
    return values, spoilt, None


def raisable(error: BaseException) -> BaseException:
    """Return an item's error, wrapped if it would be taken for the end of an iterator."""
    if not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    told = RuntimeError(f"the item raised {type(error).__name__}")
    told.__cause__ = error
    told.record = getattr(error, "record", None)  # type: ignore[attr-defined]
    return told


def trimmed(error: BaseException) -> BaseException:
    """Return the error of an item without the frames of the pool, which tell its reader nothing.

    Other errors keep theirs: the user's own code, such as the input of a map, may be among them.
    """
    if getattr(error, "record", None) is None:
        return error
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        trace = trace.tb_next
    return error.with_traceback(trace)  # there is more of it only where items run in this process


def with_record(error: BaseException | None, batch: Batch) -> BaseException | None:
    """Return the error for which a batch was dropped, with the record of its first item."""
    if error is None:
        return None
    return attach(Outcome(batch.start, error=error, attempts=0)).error


def ending_error(state: MapState) -> BaseException | None:
    """Return the error with which a map ends early, if it does."""
    ending = state.ending
    if isinstance(ending, Attempt):
        error = ending.record.error
        assert error is not None
        return raisable(error)
    return ending
