"""Maps: many items in, their answers out, in order or as they come.

The consumer's thread does everything: each time it asks for the next answer, it first reads as much
input ahead as is allowed, and then waits, which may mean that it drives the engine. Answers are
put into the map's state by whichever thread reads them.

    input ──read ahead──▶ batches ──▶ engine ──▶ state ──look──▶ consumer
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, get_args

from processpool.api.bar import Bar
from processpool.api.echo import Echo
from processpool.api.inputs import AllInputs, OpenInputs
from processpool.api.map_input import FedInput, MapInput
from processpool.api.map_job import (
    MapJob,
    OnError,
    ending_error,
    load_run,
    with_record,
)
from processpool.api.map_state import Run, Step
from processpool.core.jobs import Batch
from processpool.core.terms import USUAL, Terms
from processpool.system.interrupts import uninterrupted
from processpool.system.monitor import Monitor
from processpool.wire.python.layout import ECHOED

if TYPE_CHECKING:
    from processpool.api.answered import Retry
    from processpool.api.call_forms import Items
    from processpool.api.eager_state import EagerState
    from processpool.api.item_notes import Naming
    from processpool.api.map_input import InputChunk
    from processpool.api.map_state import Chunk, LazyState
    from processpool.api.view import Follower
    from processpool.core.jobs import Origin
    from processpool.engine.backend import Backend


@dataclass(frozen=True)
class MapOptions:
    """How a map is run; the fields mean the same as the arguments of `ProcessPool.map`."""

    timeout: float | None = None
    on_error: OnError = "raise"
    progress: bool | str | None = None
    details: bool = False
    buffersize: int | None = None
    ordered: bool = True
    echo: bool = False
    naming: Naming | None = None
    retry: Retry | None = None
    terms: Terms = USUAL
    follower: Follower | None = None

    def __post_init__(self) -> None:
        if self.on_error not in get_args(OnError):
            raise ValueError(f"on_error must be 'raise', 'return' or 'skip', got {self.on_error!r}")
        if self.buffersize is not None and self.buffersize < 1:
            raise ValueError(f"buffersize must be at least 1, got {self.buffersize}")


class MapRun(MapJob):
    """One map, from its input to its answers, run by the thread that waits for them."""

    _state: EagerState | LazyState

    def __init__(
        self, engine: Backend, items: Items, options: MapOptions, state: EagerState | LazyState
    ) -> None:
        super().__init__(
            engine,
            state,
            items.task,
            options.timeout,
            naming=options.naming,
            progress=options.progress,
            buffersize=options.buffersize,
            terms=options.terms,
            follower=options.follower,
        )
        self._input = MapInput(items.iterator, items.pack)
        self._fed: FedInput | None = None
        """The input, if it is read on another thread, and so may have nothing for a while."""
        self._total = items.total
        self._on_error = options.on_error
        self._details = options.details
        self.retry = options.retry
        self._echo = Echo() if options.echo else None
        if options.echo and self.task is not None:
            self.task = self.task._replace(style=self.task.style | ECHOED)
        self.takes_values = not (options.details or options.echo or self.task)
        self._inputs = self._new_inputs()
        self._lock = Monitor(engine.wait)
        """Guards the state, which answers reach on other threads."""

    # -- the engine's side -----------------------------------------------------------------------

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Take the answers of a batch, and wake the consumer if it can go on."""
        self._learn_pace(batch, origin)
        with self._lock:
            if self._is_over:
                return
            if self._echo is not None and origin.stderr:
                self._echo.put(2, origin.stderr)
            inputs = self._inputs
            items = None if inputs is None else inputs.take(batch.start, len(batch))
            if origin.plain and not self._details:
                self._note_run(batch, origin, items)
                wake = self._state.put_run(batch.start, answers)
            else:
                wake = self._record(batch, answers, origin, items)
            if wake:
                self._lock.notify_all()
        if self._state.failure is not None and not self.cancelled:
            self._cancel_soon()

    def put(self, index: int, value: Any) -> None:
        """An item has this value: put it down, and wake the consumer if it can go on."""
        if self._is_over:
            return
        if self._inputs is not None:
            self._inputs.drop(index, None)
        if self._state.puts_freely:
            if self._state.put(index, value):
                with self._lock:
                    self._lock.notify_all()
            return
        with self._lock:
            if self._state.put(index, value):
                self._lock.notify_all()

    def note_run(
        self, place: int, worker_id: int, index: int, count: int, since: float, until: float,
        wait: float, memory: int,
    ) -> None:  # fmt: skip
        """Note when a worker had items that were put down, or one that is about to be."""
        item = None if self._inputs is None else self._inputs.peek(index)
        with self._lock:
            self.run_record.note(place, worker_id, index, count, since, until, wait, item=item)
            if memory:
                self.run_record.note_memory(place, until, memory)

    def echo(self, number: int, printed: bytes) -> None:
        """Wake the consumer to show what a running item has printed."""
        if self._echo is not None:
            with self._lock:
                self._echo.put(number, printed.decode("utf-8", "replace"))
                self._lock.notify_all()

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """Give up items that never start: the map was stopped, or the pool was."""
        with self._lock:
            if self._state.drop(batch.start, len(batch), with_record(error, batch)):
                self._lock.notify_all()

    def _new_inputs(self) -> OpenInputs | AllInputs | None:
        """What is to be kept of the items; nothing if what travels says it all."""
        return OpenInputs() if self._details or self.task is None else None

    def stop(self) -> None:
        """End the map from outside: its consumer gets `CancelledError`."""
        with self._lock:
            self._state.stop(CancelledError(f"{self.label} was stopped"))
            self._lock.notify_all()
        self._engine.cancel(self, kill=True)

    # -- the consumer's side ---------------------------------------------------------------------

    def __enter__(self) -> None:
        self._engine.require_calm()
        try:
            self._appear()
        except BaseException:  # a signal's handler has raised, perhaps behind it
            self._vanish()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        try:
            if error is not None:
                self._note_error(error)
            self._end(kind)
        except BaseException as interrupt:  # a signal's handler has raised, perhaps before it
            self.abort(interrupt)
            raise
        self._show()
        self._say_goodbye(left_early=kind is GeneratorExit)

    @uninterrupted
    def _end(self, kind: type[BaseException] | None) -> None:
        """End the map: the consumer has everything, or has left with an error of this kind."""
        self._vanish()
        if kind is None:
            return
        if issubclass(kind, GeneratorExit):  # perhaps by the garbage collector: take no lock
            self._cancel_soon()
        else:
            self._engine.cancel(self, kill=not issubclass(kind, Exception))

    def abort(self, error: BaseException) -> None:
        """End what still runs, for this error: an interrupt may have come right before the end."""
        if not self._is_over:
            self._end(type(error))

    def _next(self) -> list[Chunk] | None:
        """Return the next answers; an empty list if there is something else to do; None at the end.

        Raises:
            BaseException: what has ended the map before its time.
        """
        self._read_ahead()
        found = self._wait()
        self._show()
        if isinstance(found, list):
            return found
        if found is Step.READ:
            return []
        error = ending_error(self._state)
        if error is not None:
            raise error
        return None

    def _wait(self) -> list[Chunk] | Step | None:
        """Wait until there is something to do; the only place where a map waits for answers."""
        began = monotonic()
        starved = self._fed is not None and self._fed.is_starved and not self._state.outstanding
        try:
            return self._lock.wait_for(self._look)
        finally:
            seconds = monotonic() - began
            if starved:
                self.run_record.phases.reading += seconds
            else:
                self.run_record.phases.waiting += seconds

    def _look(self) -> list[Chunk] | Step | None:
        if self._echo is not None and self._echo.pending:
            return Step.READ
        found = self._state.look()
        if found is Step.READ and self._fed is not None and self._fed.is_starved:
            return None
        return found

    def _read_ahead(self) -> None:
        """Read input as far as is allowed, and submit it."""
        while (room := self._room()) > 0:
            chunk = self._input.read(room)
            self._note_input(chunk)
            start = self._add(chunk)
            if self._inputs is not None:
                self._inputs.add(start, chunk.items)
            if chunk.payloads:
                self._submit(start, chunk)
            if chunk.refusal is not None:
                self._refuse(start + len(chunk.payloads), chunk.refusal, chunk.items[-1])

    def _submit(self, start: int, chunk: InputChunk) -> None:
        """Hand in items, the first of which has the index `start`."""
        self._engine.submit(Batch(self, start, chunk.payloads, monotonic()))

    def _room(self) -> int:
        """How many items to read now; without the lock, as others can only make it more."""
        self._state.allow(self._ahead())  # in any case: `_look` depends on it
        if self._fed is not None and self._fed.is_starved:
            return 0
        return self._state.room

    @uninterrupted
    def _add(self, chunk: InputChunk) -> int:
        with self._lock:
            start = self._state.add(len(chunk))
            if chunk.ended or chunk.error is not None:
                self._state.end_input(chunk.error)
            return start

    def _load(self, run: Run) -> tuple[list[Any], BaseException | None]:
        began = monotonic()
        values, spoilt, error = load_run(run, details=self._details, on_error=self._on_error)
        self.run_record.phases.loading += monotonic() - began
        if spoilt:
            with self._lock:
                self._state.failed += spoilt
                self._note_spoilt(run, run.records)
        return values, error

    def _show(self) -> None:
        if self._echo is not None:
            self._echo.show()

    def _new_bar(self) -> Bar:
        label = self._progress if isinstance(self._progress, str) else None
        return Bar(self._total, label)
