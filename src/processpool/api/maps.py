"""Maps: many items in, their answers out, in order or as they come.

The consumer's thread does everything: each time it asks for the next answer it first reads as much
input as is allowed ahead, and then waits. The engine's thread only puts answers down here.

    input ──read ahead──▶ batches ──▶ engine ──▶ arrived ──in order──▶ consumer
"""

from __future__ import annotations

import sys
from concurrent.futures import CancelledError
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, get_args

from processpool.api.echo import Echo
from processpool.api.map_job import MapJob
from processpool.core.jobs import Attempt, Batch, Origin, attach
from processpool.core.outcome import Outcome
from processpool.core.replies import Reply, has_failed, open_all
from processpool.errors import ProcessPoolError
from processpool.system.interrupts import uninterrupted
from processpool.system.monitor import Monitor
from processpool.wire.python.layout import ECHOED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.api.call_forms import Items
    from processpool.engine.local import Engine

OnError = Literal["raise", "return", "skip"]
Arrived = tuple[Batch, list[Any], Origin | None]

MAX_CHUNK = 4096
"""Items read from the input at a time, at most."""
SLOW_INPUT = 0.001
"""Seconds after which a chunk of input counts as slow to read, and the next is smaller."""


class _Turn(Enum):
    """What the consumer of a map is to do, if there is no answer for it."""

    READ = 1
    """Read more input, or show what was printed."""
    END = 2


@dataclass(frozen=True)
class MapOptions:
    """How a map is to be run; the meaning is that of the arguments of `ProcessPool.map`."""

    timeout: float | None = None
    on_error: OnError = "raise"
    progress: bool | str = False
    details: bool = False
    buffersize: int | None = None
    ordered: bool = True
    echo: bool = False
    eager: bool = False
    """All results are wanted at once, and an error ends the map as soon as it is known."""

    def __post_init__(self) -> None:
        if self.on_error not in get_args(OnError):
            raise ValueError(f"on_error must be 'raise', 'return' or 'skip', got {self.on_error!r}")
        if self.buffersize is not None and self.buffersize < 1:
            raise ValueError(f"buffersize must be at least 1, got {self.buffersize}")


class MapRun(MapJob):
    """One map, from its input to its answers."""

    def __init__(self, engine: Engine, items: Items, options: MapOptions) -> None:
        super().__init__(
            engine,
            items.task,
            options.timeout,
            total=items.total,
            progress=options.progress,
            buffersize=options.buffersize,
        )
        self._input, self._pack = items.iterator, items.pack
        self._on_error = options.on_error
        self._ordered = options.ordered
        self._details = options.details
        self._eager = options.eager
        self._in_one_go = options.eager and not options.progress
        """The consumer need not be woken before everything is there."""
        self._echo = Echo() if options.echo else None
        if options.echo and self.task is not None:
            self.task = self.task._replace(style=self.task.style | ECHOED)
        self._lock = Monitor()
        self._arrived: dict[int, Arrived] = {}
        self._chunk_size = 1
        self._taken = 0
        self._next = 0
        self._failure: Attempt | None = None
        """The item whose error ends the map."""
        self._error: BaseException | None = None
        """What else has ended it."""
        self._input_error: BaseException | None = None

    # -- the engine's side -----------------------------------------------------------------------

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Answers have come: put them down, and wake the consumer if it can go on."""
        plain = origin.plain
        self._learn_pace(batch, origin)
        with self._lock:
            if self._echo is not None and origin.stderr:
                self._echo.put(2, origin.stderr)
            self._put(batch, answers, None if plain and not self._details else origin)
            if not plain:
                self._in_one_go = False  # they are opened while others are made
            if origin.failed:
                self._note_errors(batch, answers, origin)
            self._wake_consumer()
        if self._failure is not None and not self.cancelled:
            self._engine.cancel(self, kill=False)

    def echo(self, number: int, printed: bytes) -> None:
        """A running item has printed something: wake the consumer, which shows it."""
        if self._echo is not None:
            with self._lock:
                self._echo.put(number, printed.decode("utf-8", "replace"))
                self._lock.notify_all()

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """These items never start: the map was stopped, or the pool was."""
        with self._lock:
            self._outstanding -= len(batch)
            self._dropped += len(batch)
            if error is not None and self._error is None:
                self._error = attach(Outcome(batch.start, error=error, attempts=0)).error
            self._exhausted = True
            self._lock.notify_all()

    def stop(self) -> None:
        """End the map from outside: its consumer gets `CancelledError`."""
        with self._lock:
            self._error = self._error or CancelledError(f"{self.label} was stopped")
            self._exhausted = True
            self._lock.notify_all()
        self._engine.cancel(self, kill=True)

    def _put(self, batch: Batch, answers: list[Any], origin: Origin | None) -> None:
        self._arrived[batch.start] = batch, answers, origin
        self._outstanding -= len(batch)

    def _note_errors(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        for offset, answer in enumerate(answers):
            if has_failed(answer):
                if self.cancelled:  # most likely for that
                    self._dropped += 1
                    continue
                self._failed += 1
                if self._on_error == "raise" and not self._has_failed:
                    self._failure = batch.attempt(offset, answer, origin)
                    self._exhausted = True

    def _wake_consumer(self) -> None:
        """Wake the consumer if it can go on: to read more input, or to take what is next."""
        if self._has_failed or not self._outstanding:
            self._lock.notify_all()
        elif self._in_one_go:
            if not self._exhausted and self._outstanding <= self._ahead() // 2:
                self._lock.notify_all()
        elif not self._ordered or self._next in self._arrived:
            self._lock.notify_all()

    # -- the consumer's side ---------------------------------------------------------------------

    def results(self, *, bar: bool = True) -> Iterator[Any]:
        """The results, one after another; `bar` says whether there may be a progress bar."""
        if not (bar and self._progress and sys.stderr is not None):
            for chunk in self.chunks():
                yield from chunk
            return
        from tqdm.auto import tqdm

        label = self._progress if isinstance(self._progress, str) else None
        with tqdm(total=self._total, desc=label) as shown:
            for chunk in self.chunks():
                yield from chunk
                shown.update(len(chunk))

    def chunks(self) -> Iterator[list[Any]]:
        """The results in lists, as they can be taken; at the end, or at an error, it stops the map.

        Raises:
            Exception: an item's error, with `on_error="raise"`; or whatever the input raised.
        """
        try:
            self._engine.lock.require_calm()
            self._appear()
            while True:
                self._read_ahead()
                arrived = self._lock.wait_for(self._look)
                self._show()
                if arrived is _Turn.END:
                    self._raise_if_failed()
                    break
                if isinstance(arrived, list):
                    for batch, answers, origin in arrived:
                        yield from self._results(batch, answers, origin)
        except GeneratorExit:
            self._engine.loop.post(lambda: self._engine.cancel(self, kill=False))
            raise
        except Exception:
            self._engine.cancel(self, kill=False)
            raise
        except BaseException:  # interrupted
            self.abort()
            raise
        finally:
            self._vanish()
            self._show()

    @uninterrupted
    def abort(self) -> None:
        """The consumer was interrupted: what runs for nobody is ended."""
        self._vanish()
        self._engine.cancel(self, kill=True)

    def _read_ahead(self) -> None:
        """Read input as far as is allowed, and submit it."""
        while not self._exhausted:
            ahead = self._ahead()
            room = ahead - (self._outstanding if self._eager else self._read - self._taken)
            if room <= 0 or (room < ahead // 2 and self._outstanding):
                return
            began = monotonic()
            items = self._read_some(min(self._chunk_size, room))
            fast = monotonic() - began < SLOW_INPUT
            self._chunk_size = min(self._chunk_size * 2, MAX_CHUNK) if fast else 1
            self._submit(items)

    def _read_some(self, wanted: int) -> list[Any]:
        """So many items of the input, or what is left; what it raises comes behind them."""
        items: list[Any] = []
        try:
            items.extend(islice(self._input, wanted))
        except Exception as error:
            self._exhausted = True
            self._input_error = error
        if len(items) < wanted:
            self._exhausted = True
        return items

    def _ahead(self) -> int:
        """As of any map; where all results are wanted at once, more."""
        if not self._eager or self._buffersize is not None:
            return super()._ahead()
        capacity = self._capacity()
        return min(4 * capacity + MAX_CHUNK, self._engine.max_pending + capacity)

    def _submit(self, items: list[Any]) -> None:
        now = monotonic()
        start = self._read
        self._read += len(items)
        self._outstanding_add(len(items))
        if self._pack is None:
            self._send(start, items, now)
            return
        payloads: list[Any] = []
        for item in items:
            try:
                payloads.append(self._pack(item))
            except ProcessPoolError as error:
                self._send(start, payloads, now)
                start += len(payloads)
                refused = Batch(self, start, [item], now)
                start, payloads = start + 1, []
                self.deliver(
                    refused, [Reply(error=error)], Origin(0, 0, now, now, plain=False, failed=1)
                )
        self._send(start, payloads, now)

    @uninterrupted
    def _outstanding_add(self, count: int) -> None:
        with self._lock:
            self._outstanding += count

    def _send(self, start: int, payloads: list[Any], now: float) -> None:
        if payloads:
            self._engine.submit(Batch(self, start, payloads, now))

    def _show(self) -> None:
        if self._echo is not None:
            self._echo.show()

    def _look(self) -> list[Arrived] | _Turn | None:
        """Results that can go out now, or what is to be done instead; None if that is to wait."""
        if self._echo is not None and self._echo.pending:
            return _Turn.READ
        if self._eager and (self._has_failed or self._input_error is not None):
            return _Turn.END
        if self._in_one_go and self._outstanding and self._exhausted:
            return None
        ready = self._ready()
        if ready:
            return ready
        if self._exhausted and not self._outstanding:
            return _Turn.END
        return _Turn.READ if self._can_read() else None

    @property
    def _has_failed(self) -> bool:
        return self._failure is not None or self._error is not None

    def _raise_if_failed(self) -> None:
        if self._failure is not None:
            error = self._failure.record.error
            assert error is not None
            raise raisable(error)
        error = self._error or self._input_error
        if error is not None:
            raise error

    def _can_read(self) -> bool:
        if self._exhausted:
            return False
        pending = self._outstanding if self._eager else self._read - self._taken
        return pending <= self._ahead() // 2 or not self._outstanding

    def _ready(self) -> list[Arrived]:
        if not self._ordered:
            ready = list(self._arrived.values())
            self._arrived.clear()
        else:
            ready = []
            while self._next in self._arrived:
                arrived = self._arrived.pop(self._next)
                self._next += len(arrived[0])
                ready.append(arrived)
        return ready

    def _results(self, batch: Batch, answers: list[Any], origin: Origin | None) -> Iterator[Any]:
        self._taken += len(batch)
        if origin is None:
            yield answers
            return
        values = open_all(answers)
        if not (self._details or any(type(value) is Reply for value in values)):
            yield values
            return
        for offset, value in enumerate(values):
            record = batch.outcome(offset, value, origin)
            if record.error is not None:
                self._failed += not has_failed(answers[offset])  # it could not be unpickled
                if self._on_error == "raise":
                    raise raisable(record.error)
                if self._on_error == "skip":
                    continue
            if self._details:
                yield [record]
            else:
                yield [record.value if record.error is None else record.error]


def raisable(error: BaseException) -> BaseException:
    """An item's error as it is raised where `StopIteration` would be taken for an end."""
    if not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    told = RuntimeError(f"the item raised {type(error).__name__}")
    told.__cause__ = error
    told.record = getattr(error, "record", None)  # type: ignore[attr-defined]
    return told
