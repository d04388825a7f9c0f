"""Conversion of events to the facts of a timeline: spans of a worker's time, and marks.

Two rules hold here. Very short items are joined: items that follow each other without a gap become
one span until it reaches `shortest` seconds, which bounds the number of spans per second however
fast the pool is. And the spans of a worker never overlap, since viewers cannot show that.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from processpool.core import events
from processpool.system.text import escape_control

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST = 0.001
"""The seconds until which items are joined into one span."""
GAP = 0.0005
"""The most seconds between two items that are joined."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time during which a worker ran items, or was starting."""

    worker: int
    begin: float
    end: float
    kind: Literal["item", "start"]
    index: int = 0
    """The index of the first item."""
    count: int = 1
    """The number of items."""
    job: int = 0
    """The number of their map; 0 for single requests."""
    failed: int = 0
    """How many of them have failed."""

    @property
    def name(self) -> str:
        """The label in a timeline."""
        if self.kind == "start":
            return "starting"
        if self.count == 1:
            return f"item {self.index}"
        if self.job:
            return f"items {self.index}-{self.index + self.count - 1}"
        return f"{self.count} requests"


@dataclass(frozen=True, slots=True)
class Mark:
    """A single moment in the life of a worker, or of the pool if `worker` is None."""

    worker: int | None
    at: float
    name: str
    kind: Literal["bad", "note"]
    details: str = ""


@dataclass(frozen=True, slots=True)
class Born:
    """The start of a worker's process."""

    worker: int
    at: float
    pid: int
    alive: int
    """The number of workers after it."""


@dataclass(frozen=True, slots=True)
class Died:
    """The end of a worker's process."""

    worker: int
    at: float
    alive: int


Fact = Span | Mark | Born | Died


class Recorder:
    """Converts events, which must come in the order in which they happened, to facts."""

    def __init__(self, shortest: float = SHORTEST) -> None:
        self._shortest = shortest
        self._open: dict[int, Span] = {}
        """The span of each worker that its next items may still be joined to."""
        self._alive: set[int] = set()
        self._ends: dict[int, float] = {}
        """The end of each worker's last span."""

    def take(self, event: events.Event) -> Iterator[Fact]:
        """Yield the facts that follow from an event."""
        match event:
            case events.ItemsFinished():
                yield from self._items(event)
            case events.ItemFailed(at, worker, _, index, error):
                yield from self._settle(worker)
                yield Mark(worker, at, f"item {index} failed", "bad", escape_control(error))
            case events.WorkerStarted(at, worker, pid):
                yield from self.meet(worker, pid, at)
            case events.WorkerBecameReady(at, worker, _, seconds):
                yield self._placed(Span(worker, at - seconds, at, "start"))
            case events.WorkerExited():
                yield from self._exit(event)
            case _:
                yield from _mark(event)

    def meet(self, worker: int, pid: int, at: float) -> Iterator[Fact]:
        """Yield the start of a worker; also used for those that the recording finds running."""
        self._alive.add(worker)
        yield Born(worker, at, pid, len(self._alive))

    def settle(self) -> Iterator[Fact]:
        """Yield the spans that are still open, at the end of the recording."""
        for worker in list(self._open):
            yield from self._settle(worker)

    def _items(self, event: events.ItemsFinished) -> Iterator[Fact]:
        new = Span(
            event.worker_id, event.since, event.at, "item", event.index, event.count, event.job,
            event.failed,
        )  # fmt: skip
        last = self._open.get(new.worker)
        alike = last is not None and last.job == new.job and not (last.failed or new.failed)
        if last is not None and alike and new.begin - last.end <= GAP:
            new = replace(
                new,
                begin=min(last.begin, new.begin),
                index=min(last.index, new.index),
                count=last.count + new.count,
            )
        else:
            yield from self._settle(new.worker)
        self._open[new.worker] = new
        if new.end - new.begin >= self._shortest:
            yield from self._settle(new.worker)

    def _settle(self, worker: int) -> Iterator[Fact]:
        span = self._open.pop(worker, None)
        if span is not None:
            yield self._placed(span)

    def _placed(self, span: Span) -> Span:
        """Return the span, cut so that it begins no earlier than the worker's last one ended."""
        begin = max(span.begin, self._ends.get(span.worker, span.begin))
        end = self._ends[span.worker] = max(span.end, begin)
        return replace(span, begin=begin, end=end)

    def _exit(self, event: events.WorkerExited) -> Iterator[Fact]:
        yield from self._settle(event.worker_id)
        self._alive.discard(event.worker_id)
        self._ends.pop(event.worker_id, None)
        asked = event.reason is not None
        kind: Literal["bad", "note"] = "note" if asked or event.exitcode == 0 else "bad"
        name = exit_name(event.exitcode) + (f" ({event.reason})" if asked else "")
        yield Mark(event.worker_id, event.at, name, kind, escape_control(event.stderr[-500:]))
        yield Died(event.worker_id, event.at, len(self._alive))


def exit_name(exitcode: int) -> str:
    """Return how a process ended: `exited with 3`, `killed by SIGKILL`."""
    if exitcode >= 0:
        return f"exited with {exitcode}"
    try:
        return f"killed by {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"killed by signal {-exitcode}"


def _mark(event: events.Event) -> Iterator[Mark]:
    match event:
        case events.WorkerFailedToStart(at, worker, reason):
            yield Mark(worker, at, "failed to start", "bad", escape_control(reason))
        case events.WorkerWroteUnasked(at, worker, _, output):
            text = escape_control(output.decode("utf-8", "replace"))[:200]
            yield Mark(worker, at, "wrote unasked", "bad", text)
        case events.PoolBroke(at, reason):
            yield Mark(None, at, "broken", "bad", escape_control(reason))
        case events.PoolResized(at, least, most, spare):
            yield Mark(None, at, "resized", "note", f"min {least}, max {most}, spare {spare}")
        case events.PoolOpened(at):
            yield Mark(None, at, "opened", "note")
        case events.PoolPaused(at):
            yield Mark(None, at, "paused", "note")
        case events.PoolResumed(at):
            yield Mark(None, at, "resumed", "note")
        case events.PoolClosedDown(at):
            yield Mark(None, at, "closed", "note")
        case _:
            yield Mark(getattr(event, "worker_id", None), event.at, type(event).__name__, "note")
