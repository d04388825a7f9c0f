"""A worker of one's own, driven by hand: what the seed calls a request.

While a lease lasts, its worker gets nothing from anybody else, and its pipes belong to the thread
that uses the lease.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core.exit_reason import ExitReason
from processpool.core.replies import Reply, opened
from processpool.engine.dispatcher import CLOSED_GRACE
from processpool.engine.workers import failures
from processpool.errors import InvalidLease, UnexpectedEOF
from processpool.system.interrupts import INTERRUPTIBLE, uninterrupted

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from processpool.api.call_forms import Form
    from processpool.engine.local import Engine
    from processpool.engine.workers.worker import Worker
    from processpool.wire.python.functions import Task


class Lease:
    """A leased worker. Use it in a `with`, or call `release()` when done."""

    _released = True

    def __init__(self, engine: Engine, worker: Worker, form: Form, grace: float) -> None:
        self._engine = engine
        self._worker = worker
        self._form = form
        self._grace = grace
        self._answers: list[Any] = []
        self._owed = 0
        self._handled = 0
        self._failed = False
        self._released = False

    def __repr__(self) -> str:
        state = "released" if self._released else "failed" if self.failed else "held"
        return f"<Lease of worker {self._worker.id} (pid {self._worker.pid}), {state}>"

    @property
    def worker_id(self) -> int:
        """The worker's number in its pool."""
        return self._worker.id

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._worker.pid

    def send(self, *data: Any) -> None:
        """Send a request; it does not wait for the answer.

        Raises:
            ProtocolError: the message cannot be sent by this protocol and codec.
            InvalidLease: the lease was released.
        """
        self._check()
        self._send(*self._form.single("lease().send", data, {}))

    @uninterrupted
    def _send(self, payload: Any, task: Task | None) -> None:
        with self._worker.io:
            sent = self._worker.send(payload, task)
        self._owed += 1
        while not sent and not self._worker.ended:
            self._pump(None)
            with self._worker.io:
                sent = self._worker.flush()

    @uninterrupted
    def wait(self, timeout: float | None = None) -> bool:
        """Wait for something to read on stdout or stderr, or for its end.

        Args:
            timeout: seconds; None for as long as it takes.

        Returns:
            True if there is something, False if the time is over.
        """
        self._check()
        deadline = None if timeout is None else monotonic() + timeout
        while not (self.has_stdout or self.has_stderr):
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left < 0:
                return False
            self._pump(left)
        return True

    @property
    @uninterrupted
    def has_stdout(self) -> bool:
        """True if `read_stdout` returns, or raises, at once."""
        self._check()
        self._pump(0)
        return bool(self._answers) or self._is_over or self._worker.fault() is not None

    @property
    def _is_over(self) -> bool:
        """True if the worker answers no more: it has ended, or closed its stdin."""
        return self._worker.ended or self._worker.is_deaf()

    @property
    @uninterrupted
    def has_stderr(self) -> bool:
        """True if there is something to read on stderr."""
        self._check()
        self._pump(0)
        return self._worker.stderr.pending

    @uninterrupted
    def read_stdout(self) -> Any:
        """The answer to the oldest request that was sent; waits for it.

        Raises:
            UnexpectedEOF: the worker ended without it.
            ProtocolError: what it wrote is no answer.
        """
        self._check()
        while not self._answers:
            fault = self._worker.fault()
            if fault is not None:
                self._failed = True
                raise fault
            if self._is_over:
                self._failed = True
                raise self._end()
            self._pump(None)
        with INTERRUPTIBLE:
            (answer,), _ = self._worker.decode(self._answers[:1])
            value = opened(answer)
        del self._answers[0]
        self._owed -= 1
        self._handled += 1
        if type(value) is not Reply:
            return value
        if value.error is not None:
            raise value.error
        return value.value

    @uninterrupted
    def read_stderr(self) -> str:
        """What the worker has written to stderr since this was last called."""
        self._check()
        self._pump(0)
        return self._worker.stderr.take()

    @property
    def failed(self) -> bool:
        """True if the worker cannot be used again: it ended, broke the protocol, or was marked."""
        return self._failed or self._worker.process.exitcode is not None

    def mark_failed(self) -> None:
        """Have the worker replaced when the lease is released."""
        self._failed = True

    @uninterrupted
    def release(self) -> None:
        """Give the worker back. Answers that were not read are read and dropped.

        Raises:
            InvalidLease: it was released before.
        """
        self._check()
        self._released = True
        try:
            self._read_off()
        except BaseException:
            self._engine.discard(self._worker, ExitReason.LEASE_INTERRUPTED)
            raise
        with self._worker.io:
            stray = self._worker.stray_output()
            self._worker.stderr.take()
        ended = self.failed or self._worker.ended
        if ended or stray or self._owed or not self._worker.is_clean:
            self._engine.discard(self._worker, ExitReason.LEASE_FAILED)
        else:
            self._engine.give_back(self._worker, self._handled)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._released:
            return
        if kind is not None and self._owed:
            self._failed = True  # do not wait for an answer that nobody wants
        self.release()

    def __del__(self) -> None:
        if not self._released:
            engine, worker = self._engine, self._worker
            engine.post(lambda: engine.discard(worker, ExitReason.LEASE_DROPPED))

    def _read_off(self) -> None:
        """Read what is owed, for `timeouts.exit` at most; with more to come it has failed."""
        deadline = monotonic() + self._grace
        self._owed -= len(self._answers)
        self._handled += len(self._answers)
        self._answers.clear()
        while self._owed > 0 and not self.failed and not self._worker.ended:
            left = deadline - monotonic()
            if left <= 0 or self._worker.fault() is not None:
                return
            self._pump(left)
            self._owed -= len(self._answers)
            self._handled += len(self._answers)
            self._answers.clear()

    def _pump(self, timeout: float | None) -> None:
        with self._worker.io:
            self._answers += self._worker.pump(timeout)

    def _end(self) -> UnexpectedEOF:
        self._worker.process.wait(CLOSED_GRACE)
        exit_reason = self._engine.exit_reason_of(self._worker)
        stderr = self._worker.stderr.tail
        error = failures.died(self._worker, exit_reason, self._engine.command, stderr)
        text = f"worker {self._worker.id} (pid {self._worker.pid}) ended without an answer: {error}"
        return UnexpectedEOF(text)

    def _check(self) -> None:
        self._engine.require_own_process()
        if self._released:
            raise InvalidLease("this lease was released before; take a new one with pool.lease()")
