"""The future of one request: the standard library's, plus the item's record."""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError, Future, InvalidStateError
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from contextlib import suppress
from dataclasses import replace
from threading import current_thread, main_thread
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from processpool.api.callbacks import call_back, may_wait
from processpool.api.future_waits import FUTURES, Waiters
from processpool.api.item_notes import Naming
from processpool.api.streamed import StreamedFuture
from processpool.core.jobs import Arguments, Attempt, Batch, Job, Origin, attach
from processpool.core.outcome import Outcome
from processpool.core.replies import PickledReply, Reply, format_reply_error, has_failed
from processpool.core.terms import NEVER, USUAL, Terms
from processpool.system.interrupts import USERS_CODE, uninterrupted
from processpool.system.monitor import Bell
from processpool.wire.python.arguments import Pickled

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.backend import Backend

log = logging.getLogger("processpool")

T = TypeVar("T")

_NOT_LOADED = Exception("this stands for the error of a worker's that nobody has looked at")
_ENDED = (FINISHED, CANCELLED_AND_NOTIFIED)


class PoolFuture(StreamedFuture[T]):
    """A `concurrent.futures.Future` which also knows what its item printed, and where it ran.

    The state is that of the standard library's, and so is what can be done with it. But there is
    one lock for all futures, which is held for a few steps at a time, instead of a condition for
    each; and whoever waits for one drives the engine meanwhile.
    """

    def __init__(
        self, engine: Backend, timeout: float | None, task: Any = None, terms: Terms = USUAL
    ) -> None:
        self._condition = FUTURES  # type: ignore[assignment]
        self._state = PENDING
        self._result = None
        self._exception = None
        self._installed: Waiters | None = None
        self._done_callbacks: list[Callable[[Future[Any]], object]] = []
        self._bells: tuple[Bell, ...] = ()
        self._engine = engine
        self._job: SingleJob = SingleJob(self, timeout, terms)
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

    if not TYPE_CHECKING:  # to type checkers it is what the standard library's is

        @property
        def _waiters(self) -> Waiters:
            """What the standard library's `wait` and `as_completed` install themselves in."""
            if self._installed is None:
                self._installed = Waiters(self._engine)
            return self._installed

    # -- looking, and waiting ----------------------------------------------------------------------

    def cancelled(self) -> bool:
        """True if it was cancelled."""
        return self._state == CANCELLED_AND_NOTIFIED

    def running(self) -> bool:
        """True if a worker has it."""
        return self._state == RUNNING

    def done(self) -> bool:
        """True if it has ended, or was cancelled."""
        return self._state in _ENDED

    def result(self, timeout: float | None = None) -> T:
        """Like the standard library's; a signal handler may close the pool meanwhile.

        What the item returned or raised is unpickled by the first call.
        """
        error = self._ended_with(timeout)
        if error is None:  # whatever the truth of an error is
            return self._result  # type: ignore[return-value]
        __tracebackhide__ = True
        try:
            raise error
        finally:
            del self, error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what `result` would raise; raise `CancelledError` if it was cancelled."""
        if FUTURES.is_mine:  # `wait` asks only if there is one, and nothing may run meanwhile
            return self._exception
        return self._ended_with(timeout)

    def _ended_with(self, timeout: float | None) -> BaseException | None:
        """Wait for the end, and return its error, if it has one.

        Raises:
            CancelledError: it was cancelled.
            TimeoutError: the time is over.
        """
        if self._state not in _ENDED:
            self._engine.require_calm()
            self._is_awaited = True
            if self._stream is not None:
                self._stream.open_up()
            self._wait(timeout)
        if self._is_pickled:
            self._keep_record()
        if self._state == FINISHED:
            return self._exception
        raise CancelledError if self._state == CANCELLED_AND_NOTIFIED else TimeoutError

    @uninterrupted
    def _wait(self, timeout: float | None) -> None:
        bell = Bell()
        with FUTURES.lock:
            if self._state in _ENDED:
                return
            self._bells = (*self._bells, bell)
        try:
            self._engine.wait(bell, None if timeout is None else monotonic() + timeout)
        finally:
            if not bell.rung:
                with FUTURES.lock:
                    self._bells = tuple(other for other in self._bells if other is not bell)

    def _keep_record(self) -> None:
        """Unpickle the answer, if nobody has yet: with no lock, as it may take long."""
        attempt = self._attempt
        if attempt is None or self._state != FINISHED:  # it is there a moment before the end
            return
        record = attempt.record
        with FUTURES.lock:
            if self._attempt is not None:  # no other thread was faster
                self._record, self._result, self._exception = record, record.value, record.error
                self._is_pickled = False
                self._attempt = None

    def _get_snapshot(self) -> Any:
        """What asyncio asks for, from Python 3.14 on."""
        self._keep_record()
        return super()._get_snapshot()  # type: ignore[misc]

    def __repr__(self) -> str:
        """Like the standard library's, without unpickling anything."""
        if not self._is_pickled:
            return super().__repr__()
        return f"<{type(self).__name__} at {id(self):#x} state=finished>"

    # -- the end -----------------------------------------------------------------------------------

    def set_running_or_notify_cancel(self) -> bool:
        """Note that it runs; False if it was cancelled."""
        with FUTURES.lock:
            if self._state == PENDING:
                self._state = RUNNING
            return self._state == RUNNING

    def set_result(self, result: Any) -> None:
        """End it with a result.

        Raises:
            InvalidStateError: it has ended before.
        """
        self._end(FINISHED, result, None)

    def set_exception(self, exception: BaseException | None) -> None:
        """End it with an error.

        Raises:
            InvalidStateError: it has ended before.
        """
        self._end(FINISHED, None, exception)

    def _end(self, state: str, result: Any, error: BaseException | None) -> None:
        with FUTURES.lock:
            if self._state in _ENDED:
                raise InvalidStateError(f"{self._state}: {self!r}")
            self._result, self._exception = result, error
            self._state = state
            for waiter in self._installed or ():
                if state != FINISHED:
                    waiter.add_cancelled(self)
                elif error is None:
                    waiter.add_result(self)
                else:
                    waiter.add_exception(self)
            bells, self._bells = self._bells, ()
        for bell in bells:
            bell.ring()
        if self._stream is not None:
            self._stream.end()
        if self._done_callbacks:
            self._invoke_callbacks()

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Like the standard library's."""
        with FUTURES.lock:
            is_open = self._state not in _ENDED
            if is_open:
                self._done_callbacks.append(fn)
        if is_open:
            self._engine.attend()
        else:
            call_back(fn, self)

    def _invoke_callbacks(self) -> None:
        """Like the standard library's, but never on a thread that leads, which must not wait.

        Those of asyncio only notify their event loop, and are called at once.
        """
        if self._engine.is_current and any(map(may_wait, self._done_callbacks)):
            self._engine.run_callback(self._call_back)
        else:
            with USERS_CODE:
                self._call_back()

    def _call_back(self) -> None:
        for callback in self._done_callbacks:
            call_back(callback, self)

    @uninterrupted
    def cancel(self) -> bool:
        """Cancel it, if it has not begun.

        Returns:
            True if it is cancelled and will never run; False if it runs, or has ended.
        """
        if self._state not in _ENDED and self._engine.recall(self._job):
            with suppress(InvalidStateError):  # another thread was faster
                self._end(CANCELLED_AND_NOTIFIED, None, None)
                self._engine.maps.failures.count_single(begun=False, cancelled=True)
        return self._state == CANCELLED_AND_NOTIFIED

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

    __slots__ = ("_future", "asked", "usual", "wants_parts")

    def __init__(
        self, future: PoolFuture[Any], timeout: float | None, terms: Terms = USUAL
    ) -> None:
        super().__init__(timeout, 0, terms)
        self._future = future
        self.usual: Naming | None = None
        """What the pool calls its requests, unless their function or their caller has a name."""
        self.asked: tuple[Any, ...] = ()
        """The message, for a program: what travels does not say it."""
        self.wants_parts = False

    def begin(self) -> None:
        """Mark the future as running; it may run already, on a worker that has not begun it."""
        self._future.set_running_or_notify_cancel()

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Set the future's result, or its exception."""
        answer = answers[0]
        if has_failed(answer):
            self._note_failure(batch, answer, origin)
        if type(answer) is Reply:
            args = self._args(batch) if answer.error is not None else ()
            self._settle(batch.outcome(0, answer, origin, args, safely=True))
            return
        future = self._future
        args = self._args(batch) if has_failed(answer) else ()
        future._attempt = Attempt(batch, answer, origin, args)
        batch.items = ()  # the record needs no message
        if type(answer) is PickledReply:
            future._is_pickled = True
            self._end(None, _NOT_LOADED if has_failed(answer) else None)
        else:
            self._end(answer, None)

    def _note_failure(self, batch: Batch, answer: Any, origin: Origin) -> None:
        """Keep it for the displays; unless it has failed because it was to be ended."""
        failures = self._future._engine.maps.failures
        failures.count_single(cancelled=self.cancelled)
        if not self.cancelled:
            item = batch.attempt(0, answer, origin, self._args(batch))
            name, usual = self.naming.name if self.naming else "", self.usual
            failures.add(format_reply_error(answer), item, name, usual and usual.retry(self.task))

    @property
    def naming(self) -> Naming | None:  # type: ignore[override]
        """What the item is called: as its caller has said, or else as its function."""
        task, name, usual = self.task, self.terms.name, self.usual
        if not name and task is None:
            return usual
        secrets = () if usual is None else usual.secrets
        return Naming(name or task.function.name, is_map=False, secrets=secrets)

    def _args(self, batch: Batch) -> tuple[Any, ...]:
        """The arguments of the item."""
        if self.task is None:
            return self.asked
        item = batch.payloads[0]
        call = item.item if type(item) is Pickled else item
        return Arguments.of(*call) if type(call) is tuple and len(call) == 2 else ()

    def part(self, part: Any, source: Any) -> None:
        """Take a part of the item, which from now on is not begun anew."""
        self.terms = replace(self.terms, retries=NEVER)
        stream = self._future._streamed()
        if self._future._is_awaited:
            stream.open_up()
        stream.put(part, source)
        if self.timeout is not None:
            self._future._engine.prolong(self, waits=stream.is_full)

    def revoke(self) -> None:
        """Cancel the future of an item that was taken back."""
        with suppress(InvalidStateError, AttributeError):  # it has ended meanwhile
            self._future._end(CANCELLED_AND_NOTIFIED, None, None)

    def lend(self, parts: Any) -> None:
        """Take a generator in this process, as all parts of the item."""
        self._future._streamed().lend(parts)

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """End the future of an item that never started."""
        if not self.recalled:
            self._future._engine.maps.failures.count_single(begun=False, cancelled=True)
            error = error or CancelledError("it was ended before it started")
            self._settle(attach(Outcome(index=0, error=error, attempts=0)))

    def describe(self, index: int, item: Any) -> str:
        """Return a short text for the request."""
        if self.task is None:
            return ""
        call = item.item if type(item) is Pickled else item
        args = call[0] if type(call) is tuple and len(call) == 2 else ()
        naming = Naming(self.task.function.name, is_map=False)
        return naming.arguments(tuple(args), most=80) if type(args) is tuple else ""

    def refuse(self, error: BaseException) -> None:
        """End the future of an item that cannot be sent."""
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
