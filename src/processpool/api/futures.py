"""The future of one request: the standard library's, plus the item's record."""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError, Future
from concurrent.futures._base import FINISHED, PENDING, RUNNING
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from processpool.core.jobs import Attempt, Batch, Job, Origin, attach
from processpool.core.outcome import Outcome
from processpool.core.replies import PickledReply, Reply, has_failed
from processpool.system.interrupts import USERS_CODE, uninterrupted
from processpool.system.monitor import SlimCondition

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.backend import Backend

log = logging.getLogger("processpool")

_NOT_LOADED = Exception("this stands for the error of a worker's that nobody has looked at")
_QUICK = ("asyncio.futures", "processpool.executors.work")


class PoolFuture(Future[Any]):
    """A `concurrent.futures.Future` which also knows what its item printed, and where it ran."""

    def __init__(self, engine: Backend, timeout: float | None, task: Any = None) -> None:
        super().__init__()
        self._condition = SlimCondition(engine.wait)  # type: ignore[assignment]
        self._engine = engine
        self._job = SingleJob(self, timeout)
        self._job.task = task
        self._record: Outcome | None = None
        self._attempt: Attempt | None = None
        """How it has ended, until somebody looks at the record."""
        self._is_pickled = False
        """True while its answer is still to be unpickled."""

    @property
    def record(self) -> Outcome | None:
        """The item's `Outcome`; None until it has ended."""
        self._keep_record()
        return self._record

    @property
    def stdout(self) -> str:
        """What the item printed, or answered as text; empty until it has ended."""
        return self.record.stdout if self.record else ""

    @property
    def stderr(self) -> str:
        """What the worker wrote to its stderr while it had the item; empty until it has ended."""
        return self.record.stderr if self.record else ""

    def result(self, timeout: float | None = None) -> Any:
        """Like the standard library's; a signal handler may close the pool meanwhile.

        What the item returned or raised is unpickled by the first call.
        """
        self._wait(timeout)
        self._load()
        if self._state != FINISHED:
            return super().result(0)
        error = self._exception
        if error is None:  # whatever the truth of an error is
            return self._result
        try:
            raise error
        finally:
            del self, error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what `result` would raise."""
        locked: bool = self._condition._is_owned()  # type: ignore[attr-defined]
        if locked:  # by `wait`, which takes the locks of all, and asks only if there is one
            return super().exception(0)
        self._wait(timeout)
        self._load()
        return super().exception(0)

    def _wait(self, timeout: float | None) -> None:
        """Wait until it has ended, or the time is over."""
        if self._state in (PENDING, RUNNING):
            self._engine.require_calm()
            self._wait_for_end(timeout)

    @uninterrupted
    def _wait_for_end(self, timeout: float | None) -> None:
        with self._condition:
            if self._state in (PENDING, RUNNING):
                self._condition.wait(timeout)

    def _load(self) -> None:
        """Unpickle the answer, if nobody has yet: with no lock, as it may take long."""
        if self._is_pickled:
            self._keep_record()

    def _keep_record(self) -> None:
        attempt = self._attempt
        if attempt is None or self._state != FINISHED:  # it is there a moment before the end
            return
        record = attempt.record
        with self._condition:
            if self._attempt is not None:  # no other thread was faster
                self._record, self._result, self._exception = record, record.value, record.error
                self._is_pickled = False
                self._attempt = None

    def _get_snapshot(self) -> Any:
        """What asyncio asks for, from Python 3.14 on."""
        self._load()
        return super()._get_snapshot()  # type: ignore[misc]

    def __repr__(self) -> str:
        """Like the standard library's, without unpickling anything."""
        if not self._is_pickled:
            return super().__repr__()
        return f"<{type(self).__name__} at {id(self):#x} state=finished>"

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Like the standard library's."""
        super().add_done_callback(fn)
        if not self.done():
            self._engine.attend()

    def _invoke_callbacks(self) -> None:
        """Like the standard library's, but never on a thread that leads, which must not wait.

        Those of asyncio only notify their event loop, and are called at once.
        """
        callbacks = self._done_callbacks  # type: ignore[attr-defined]
        if not callbacks:
            return
        invoke: Callable[[], None] = super()._invoke_callbacks  # type: ignore[misc]
        if self._engine.is_current and any(map(_may_wait, callbacks)):
            self._engine.run_callback(invoke)
        else:
            with USERS_CODE:
                invoke()

    @uninterrupted
    def cancel(self) -> bool:
        """Cancel it, if it has not begun.

        Returns:
            True if it is cancelled and will never run; False if it runs, or has ended.
        """
        if self._state in (PENDING, RUNNING):
            if not self._engine.recall(self._job):
                return False
            with self._condition:
                if self._state == RUNNING:
                    self._state = PENDING  # a worker was given it, and has never seen it
        if not super().cancel():
            return False
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

    def begin(self) -> None:
        """Mark the future as running."""
        self._begin()

    def _begin(self) -> bool:
        """Like `begin`; False if the future was cancelled.

        It may run already: on a worker that has died before it began this item.
        """
        with self._future._condition:
            if self._notified or self._future.running():
                return not self._notified
            started = self._future.set_running_or_notify_cancel()
            self._notified = not started
            return started

    def notify_cancelled(self) -> None:
        """Notify whoever waits for the future that it was cancelled, once."""
        self._begin()

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Set the future's result, or its exception."""
        answer = answers[0]
        if type(answer) is Reply:
            self._settle(batch.outcome(0, answer, origin))
            return
        future = self._future
        future._attempt = Attempt(batch, answer, origin)
        batch.items = ()  # the record needs no message
        if type(answer) is PickledReply:
            future._is_pickled = True
            self._end(None, _NOT_LOADED if has_failed(answer) else None)
        else:
            self._end(answer, None)

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """End the future of an item that never started."""
        if not self.recalled and self._begin():
            error = error or CancelledError("it was ended before it started")
            self._settle(attach(Outcome(index=0, error=error, attempts=0)))

    def refuse(self, error: BaseException) -> None:
        """End the future of an item that cannot be sent."""
        self.begin()
        self._settle(attach(Outcome(index=0, error=error, attempts=0)))

    def _settle(self, record: Outcome) -> None:
        self._future._record = record
        self._end(record.value, record.error)

    def _end(self, value: Any, error: BaseException | None) -> None:
        future = self._future
        del self._future  # who drops the future shall be rid of its result at once
        try:
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
        except BaseException:  # a callback called sys.exit(), say: that must not end the pool
            if current_thread() is main_thread():
                raise
            log.exception("a callback of %r raised", future)


def _may_wait(callback: Any) -> bool:
    """False for callbacks that surely return at once: asyncio's, and the pool's own."""
    return getattr(callback, "__module__", None) not in _QUICK
