"""One batch on a node: a job of the node's own engine, which collects its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from processpool.backends.nearby import NO_STREAMS
from processpool.backends.parcels import Result, answers_of
from processpool.core.jobs import Job
from processpool.core.replies import Reply
from processpool.errors import NotOnCluster
from processpool.system.monitor import Monitor

if TYPE_CHECKING:
    from processpool.backends.parcels import Order
    from processpool.core.batch_size import Pace
    from processpool.core.jobs import Batch, Origin
    from processpool.engine.backend import Backend


class NodeJob(Job):
    """One batch on a node: collects its answers."""

    def __init__(self, engine: Backend, order: Order, pace: Pace) -> None:
        """`pace` is that of the map; it goes on with what earlier batches have shown."""
        super().__init__(order.timeout, order.number, order.terms)
        self._start = order.start
        self._left = len(order.items)
        self._pace = pace if order.style is not None else None
        self.window = None if self._pace is None else self._pace.window
        self._engine = engine
        self._streams = False
        self._lock = Monitor(engine.wait)
        self.result = Result(order.number, "")

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Keep the answers of some items."""
        if self._pace is not None:
            seconds = origin.each * len(batch) or origin.until - origin.since
            self._pace.learn(len(batch), seconds)
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
        if not self._left:
            self._lock.notify_all()

    def wait(self) -> None:
        """Wait until all items have ended; meanwhile, this thread may run the engine."""
        self._lock.wait_for(lambda: not self._left)
