"""The future of one request: the standard library's, with the item's record on it."""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError, Future
from concurrent.futures._base import FINISHED, PENDING
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from processpool.interrupts import INTERRUPTIBLE, uninterrupted
from processpool.jobs import Batch, Job, Origin, attach
from processpool.monitor import SlimCondition
from processpool.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.local import Engine

log = logging.getLogger("processpool")

_QUICK = ("asyncio.futures", "processpool.executors.work")


class PoolFuture(Future[Any]):
    """A `concurrent.futures.Future` which also knows what its item printed, and where it ran."""

    def __init__(self, engine: Engine, timeout: float | None, task: Any = None) -> None:
        super().__init__()
        self._condition = SlimCondition()  # type: ignore[assignment]
        self._engine = engine
        self._job = SingleJob(self, timeout)
        self._job.task = task
        self._record: Outcome | None = None

    @property
    def record(self) -> Outcome | None:
        """The item's `Outcome`; None until it has ended."""
        return self._record

    @property
    def stdout(self) -> str:
        """What the item printed, or answered as text; empty until it has ended."""
        return self._record.stdout if self._record else ""

    @property
    def stderr(self) -> str:
        """What the worker wrote to its stderr while it had the item; empty until it has ended."""
        return self._record.stderr if self._record else ""

    def result(self, timeout: float | None = None) -> Any:
        """As the standard library's; a signal's handler may close the pool meanwhile."""
        if self._state == FINISHED:
            return super().result()
        self._engine.lock.require_calm()
        return self._wait_for_result(timeout)

    @uninterrupted
    def _wait_for_result(self, timeout: float | None) -> Any:
        return super().result(timeout)

    @uninterrupted
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `result`, for what it would raise."""
        if self._state != FINISHED:
            self._engine.lock.require_free()
        return super().exception(timeout)

    def _invoke_callbacks(self) -> None:
        """As the standard library's, but never on the engine's thread, which must not wait.

        Those of asyncio only tell their event loop, and are called at once.
        """
        invoke: Callable[[], None] = super()._invoke_callbacks  # type: ignore[misc]
        callbacks = self._done_callbacks  # type: ignore[attr-defined]
        if self._engine.is_current and any(map(_may_wait, callbacks)):
            self._engine.callbacks.run(invoke)
        else:
            with INTERRUPTIBLE:
                invoke()

    @uninterrupted
    def cancel(self) -> bool:
        """Cancel it, if it has not begun.

        Returns:
            True if it is cancelled and will never run; False if it runs, or has ended.
        """
        if self.running() and self._engine.recall(self._job):
            with self._condition:
                self._state = PENDING  # a worker was given it, and has never seen it
        if not super().cancel():
            return False
        self._engine.cancel(self._job, kill=False)
        self._job.notify_cancelled()
        return True

    @uninterrupted
    def kill(self) -> bool:
        """Cancel it, or end it if it runs: its worker is replaced, and `CancelledError` set.

        Returns:
            False if it has ended before.
        """
        if self.cancel():
            return True
        if self.done():
            return False
        self._engine.cancel(self._job, kill=True)
        return True


class SingleJob(Job):
    """One request, whose answer goes into a future."""

    __slots__ = ("_future", "_notified")

    def __init__(self, future: PoolFuture, timeout: float | None) -> None:
        super().__init__(timeout)
        self._future = future
        self._notified = False

    def begin(self) -> bool:
        """Tell the future that it runs; False if it was cancelled.

        It may run already: on a worker that has died before it began this item.
        """
        with self._future._condition:
            if self._notified or self._future.running():
                return not self._notified
            started = self._future.set_running_or_notify_cancel()
            self._notified = not started
            return started

    def notify_cancelled(self) -> None:
        """Let those who wait for the future know that it was cancelled, once."""
        self.begin()

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Set the future's result, or its exception."""
        self._settle(batch.outcome(0, answers[0], origin))

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """It never started."""
        if not self.recalled and self.begin():
            error = error or CancelledError("it was ended before it started")
            self._settle(attach(Outcome(index=0, error=error, attempts=0)))

    def refuse(self, error: BaseException) -> None:
        """It cannot even be sent."""
        self.begin()
        self._settle(attach(Outcome(index=0, error=error, attempts=0)))

    def _settle(self, record: Outcome) -> None:
        future = self._future
        del self._future  # who drops the future shall be rid of its result at once
        future._record = record
        try:
            if record.error is None:
                future.set_result(record.value)
            else:
                future.set_exception(record.error)
        except BaseException:  # a callback called sys.exit(), say: that must not end the pool
            if current_thread() is main_thread():
                raise
            log.exception("a callback of %r raised", future)


def _may_wait(callback: Any) -> bool:
    """False for what is known to return at once: asyncio's, and the pool's own."""
    return getattr(callback, "__module__", None) not in _QUICK
