"""What the workers of a node do first: errands, which come from the pool's process.

The node's own engine has them done by each worker, also by those that are started later. Here, the
answers of the workers that are there at the beginning are collected, and failures of others told.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from processpool.backends.messages import Answers, Order, Result, answers_of, pack, unpack
from processpool.core.jobs import Job
from processpool.core.replies import has_failed
from processpool.errors import WorkerDied
from processpool.system.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.backends.messages import Inward
    from processpool.core.jobs import Batch, Origin
    from processpool.engine.backend import Backend


class NodeErrand(Job):
    """One errand on a node: an item for each of its workers."""

    is_errand = True

    def __init__(self, engine: Backend, order: Order, told: Callable[[Answers], None]) -> None:
        """`told` is called with the answer of a later worker in which it has failed."""
        super().__init__(order.timeout, terms=order.terms)
        self._engine = engine
        self._told = told
        self._lock = Monitor(engine.wait)
        self._ended: dict[int, Answers | None] = {}
        """By index: what has come of it; None if its worker has gone."""
        self._current: int | None = None
        """How many workers there were at the beginning."""

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Keep what a worker has returned; tell it if it has failed in a later one."""
        run, failed = answers_of(batch, 0, answers, origin), has_failed(answers[0])
        with self._lock:
            is_later = self._current is not None and batch.start >= self._current
            if not is_later:
                self._ended[batch.start] = run
                self._lock.notify_all()
        if failed and isinstance(getattr(answers[0], "error", None), WorkerDied):
            self._engine.cancel(self, kill=False, soon=True)  # it would end every worker to come
        if failed and is_later:
            self._told(run)

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """Note that a worker has gone before it came to it."""
        with self._lock:
            self._ended[batch.start] = None
            self._lock.notify_all()

    def run_everywhere(self, payload: Any, *, is_awaited: bool) -> None:
        """Have all workers do it before anything that is submitted from now on."""
        if not is_awaited:
            self._current = 0
        current = self._engine.broadcast(self, payload)
        with self._lock:
            self._current = current if is_awaited else 0

    def wait(self) -> list[Answers | None]:
        """Wait for the workers that were there at the beginning; return what they have returned."""
        current = self._current or 0
        self._lock.wait_for(lambda: all(index in self._ended for index in range(current)))
        with self._lock:
            ended, self._ended = self._ended, {}
        return [ended[index] for index in range(current)]


class NodeErrands:
    """All errands of a node."""

    def __init__(
        self,
        engine: Backend,
        inward: Inward,
        address: str,
        told: Callable[[int, Answers], None],
    ) -> None:
        """`told` is called with the number of an errand that has failed in a later worker."""
        self._engine = engine
        self._inward = inward
        self._address = address
        self._told = told
        self._lock = threading.Lock()
        self._known: dict[int, NodeErrand] = {}

    def lacks(self, numbers: list[int]) -> bool:
        """True if one of these errands has not come yet."""
        with self._lock:
            return any(number not in self._known for number in numbers)

    def run(self, data: bytes) -> bytes:
        """Have the workers do an errand, if it is new here; return their answers as a `Result`."""
        errand = self._begin(data, is_awaited=True)
        result = Result(0, self._address)
        for index, run in enumerate(() if errand is None else errand.wait()):
            if run is None:
                result.dropped.append((index, 1))
            else:
                run.offset = index
                result.runs.append(run)
        return pack(result)

    def catch_up(self, errands: list[bytes]) -> None:
        """Have the workers do those errands, in order, that the node has missed."""
        for data in errands:
            self._begin(data, is_awaited=False)

    def _begin(self, data: bytes, *, is_awaited: bool) -> NodeErrand | None:
        order: Order = unpack(data)
        with self._lock:
            if order.number in self._known:
                return None
            errand = NodeErrand(self._engine, order, partial(self._told, order.number))
            errand.task = self._inward.task(order)
            self._known[order.number] = errand
            (payload,) = self._inward.items(order)
            errand.run_everywhere(payload, is_awaited=is_awaited)
            return errand

    def forget(self, number: int) -> None:
        """Spare the workers to come an errand."""
        errand = self._known.get(number)
        if errand is not None:
            self._engine.cancel(errand, kill=False)
