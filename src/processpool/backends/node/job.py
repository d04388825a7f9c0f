"""One batch on a node: a job of the node's own engine, which collects its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from processpool.backends.local_only import NO_STREAMS
from processpool.backends.messages import Result, answers_of
from processpool.core.jobs import Job
from processpool.core.replies import Reply
from processpool.errors import NotOnCluster
from processpool.system.monitor import Monitor

if TYPE_CHECKING:
    from processpool.backends.messages import Order
    from processpool.core.batch_size import Pace
    from processpool.core.jobs import Batch, Origin
    from processpool.engine.backend import Backend

LEAD = 0.03
"""Seconds before its end at which a batch ends soon: longer than Dask takes to begin the next one.
What it has not begun, Dask can still give to another node."""


class NodeJob(Job):
    """One batch on a node: collects its answers."""

    def __init__(self, engine: Backend, order: Order, pace: Pace, workers: int) -> None:
        """Prepare for the answers to a batch.

        Args:
            engine: the node's own.
            order: the batch.
            pace: that of the map; it goes on with what earlier batches have shown.
            workers: how many there are.
        """
        super().__init__(order.timeout, order.number, order.terms)
        self._start = order.start
        self._left = len(order.items)
        self._pace = pace
        self._is_paced = order.style is not None
        self.window = pace.window if self._is_paced else None
        self._engine = engine
        self._workers = workers
        self._streams = False
        self._wakes_early = False
        """The waiting thread is woken when the batch is about to end, and not only then."""
        self._lock = Monitor(engine.wait)
        self.result = Result(order.number, "")

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Keep the answers of some items."""
        seconds = origin.each * len(batch) or origin.until - origin.since
        self._pace.learn(len(batch), seconds)
        if self._is_paced:
            self.window = self._pace.window
        if self._streams:
            answers = [Reply(error=NotOnCluster(NO_STREAMS))]
            origin = replace(origin, plain=False, failed=1)
        run = answers_of(batch, self._start, answers, origin)
        with self._lock:
            self.result.runs.append(run)
            self._ended(len(batch))

    def part(self, part: Any, source: Any) -> None:
        """Have no more parts made: nobody reads them, and the item is going to fail."""
        if not self._streams:
            self._streams = True
            self._engine.stop_stream(self)

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """Note that some items will not be begun."""
        with self._lock:
            self.result.dropped.append((batch.start - self._start, len(batch)))
            if error is not None:
                self.result.trouble = str(error)
            self._ended(len(batch))

    def echo(self, number: int, printed: bytes) -> None:
        """Keep what an item has printed, to be shown with the answers."""
        with self._lock:
            self.result.printed.append((number, printed))

    def _ended(self, count: int) -> None:
        self._left -= count
        if not self._left or (self._wakes_early and self._ends_soon):
            self._lock.notify_all()

    @property
    def _ends_soon(self) -> bool:
        """True if what is left takes workers less than `LEAD`, or if it does not occupy them."""
        few = self._pace.items_in(LEAD) * self._workers
        return self._left <= max(few, self._workers - 1)

    def wait_for_end(self, *, early: bool = False) -> bool:
        """Wait until all items have ended; with `early`, or until they are about to.

        Meanwhile, this thread may run the engine.

        Returns:
            True if all have ended.
        """
        self._wakes_early = early
        self._lock.wait_for(lambda: not self._left or (early and self._ends_soon))
        return not self._left
