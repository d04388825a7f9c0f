"""A recording of a pool's events, which a thread of its own writes to a file.

The pool's threads only append events to a queue. The queue is bounded; events that do not fit are
dropped and counted. A recording ends when the pool is closed, if not before.
"""

from __future__ import annotations

import json
import logging
import os
from collections import deque
from contextlib import suppress
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

from processpool.api.names import secrets_of
from processpool.core.events import PoolClosedDown
from processpool.tracing.chrome import opening, trace_events
from processpool.tracing.drawing import known_of
from processpool.tracing.figure import Figure, draw, draw_records
from processpool.tracing.recorder import Born, Died, Mark, Recorder, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from processpool.api.view import PoolView
    from processpool.core import events
    from processpool.core.run_record import RunRecord
    from processpool.tracing.recorder import Fact

log = logging.getLogger("processpool")

MAX_QUEUED_EVENTS = 200_000
"""The most events in the queue."""
MAX_SPANS = 20_000
"""The most spans that a figure shows, and the most marks."""
MAX_BUFFERED_TEXTS = 10_000
"""The number of buffered pieces of text above which they are written."""
WRITE_INTERVAL = 0.1
"""Seconds between two writes."""


class Trace:
    """A recording in progress, or its result.

    The context manager ends the recording:

        with pool.tracing("run.json") as trace:
            pool.map(messages)
        trace.plot()
    """

    def __init__(self, pool: PoolView, path: str | os.PathLike[str] | None) -> None:
        """Start recording `pool`, into the file `path` unless it is None.

        Raises:
            OSError: the file cannot be written.
        """
        self.path = None if path is None else os.fspath(path)
        self.began = monotonic()
        self.dropped = 0
        """The number of events that were dropped because the queue was full."""
        self.spans: deque[Span] = deque(maxlen=MAX_SPANS)
        self.marks: deque[Mark] = deque(maxlen=MAX_SPANS)
        self.lives: deque[Born | Died] = deque(maxlen=MAX_SPANS)
        self._name = pool.name
        self._pool = ref(pool)
        self._recorder = Recorder()
        self._queued: deque[events.Event] = deque()
        self._file = None if path is None else _TraceFile(path)
        self._ended = Event()
        self._record_existing(pool)
        # quick: it returns at once, so it need not run on a separate thread as users' callbacks do.
        self._unsubscribe = pool.events(self._on_event, quick=True)
        self._thread = Thread(target=self._run, name="processpool-trace", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop recording, and finish the file. Calling it again has no effect."""
        self._unsubscribe()
        self._ended.set()
        self._thread.join()

    def plot(self) -> Figure:
        """Return a figure of the latest spans and marks: a lane for each worker, over time."""
        pool = self._pool()
        known = known_of(pool.records(), secrets_of(pool.config)) if pool is not None else None
        return draw(self._name, list(self.spans), list(self.marks), list(self.lives), known)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else f"into {self.path!r}"
        state = "ended" if self._ended.is_set() else "recording"
        return f"<Trace of {self._name!r} {where}, {state}: {len(self.spans)} spans>"

    def _record_existing(self, pool: PoolView) -> None:
        """Record the workers that exist at the beginning."""
        if self._file is not None:
            self._file.write(opening(self._name, os.getpid()))
        for worker in pool.snapshot(resources=False).workers:
            if worker.pid is not None:
                self._record(self._recorder.meet(worker.id, worker.pid, self.began))

    def _on_event(self, event: events.Event) -> None:
        """Queue an event; called on any thread.

        The last one, `PoolClosedDown`, waits for the file: once a pool is closed, its trace is
        complete.
        """
        if len(self._queued) < MAX_QUEUED_EVENTS:
            self._queued.append(event)
        else:
            self.dropped += 1
        if isinstance(event, PoolClosedDown):
            self.stop()

    def _run(self) -> None:
        while not self._ended.wait(WRITE_INTERVAL):
            self._process_queue()
        self._process_queue()
        self._record(self._recorder.settle())
        if self._file is not None:
            self._file.close()

    def _process_queue(self) -> None:
        while self._queued:
            self._record(self._recorder.take(self._queued.popleft()))
        if self._file is not None:
            self._file.flush()

    def _record(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            if isinstance(fact, Span):
                self.spans.append(fact)
            elif isinstance(fact, Mark):
                self.marks.append(fact)
            else:
                self.lives.append(fact)
            if self._file is not None:
                self._file.write(trace_events(fact, self.began, os.getpid()))


def plot_records(name: str, records: Sequence[RunRecord], secrets: Sequence[str] = ()) -> Figure:
    """Return a figure of the last maps of the pool `name`, for which no trace was asked.

    `secrets` are texts that must not show.
    """
    return draw_records(name, records, MAX_SPANS, secrets)


class _TraceFile:
    """A JSON array that is written in whole events.

    If the process is killed, viewers can still open the file, as they accept a missing last
    bracket. Text is written as UTF-8, since not all of Perfetto's parsers know JSON's escapes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by `close`
        self._before = "[\n"
        self._pending: list[str] = []
        self._failed = False

    def write(self, items: Iterator[dict[str, Any]]) -> None:
        for item in items:
            text = json.dumps(item, separators=(",", ":"), ensure_ascii=False)
            self._pending += self._before, text
            self._before = ",\n"
        if len(self._pending) > MAX_BUFFERED_TEXTS:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered. After an error, which is logged, nothing more is written."""
        data = "".join(self._pending).encode("utf-8", "replace")
        self._pending.clear()
        try:
            while data and not self._failed:
                data = data[self._file.write(data) :]
        except OSError as error:
            self._failed = True
            log.warning("the trace %s is not written any further: %s", self._file.name, error)

    def close(self) -> None:
        self._pending.append("\n]\n")
        self.flush()
        with suppress(OSError):
            self._file.close()
