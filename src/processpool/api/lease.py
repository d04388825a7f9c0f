"""A lease: a worker for exclusive use, to send requests to and read answers from directly.

While the lease lasts, the pool sends nothing to the worker, and its pipes are used by the lease's
thread alone. The worker never changes, with one exception: if it ended before it read its first
request, another worker silently takes its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.errors import InvalidLease
from processpool.system.interrupts import uninterrupted
from processpool.wire.python.arguments import Unsendable

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from processpool.api.call_forms import Form
    from processpool.engine.backend import LeasedWorker


class Lease:
    """A leased worker. Use it in a `with`, or call `release()` when done."""

    _released = True

    def __init__(self, worker: LeasedWorker, form: Form, grace: float) -> None:
        """Lease `worker`; `grace` is how many seconds its release may wait for unread answers."""
        self._worker = worker
        self._form = form
        self._grace = grace
        self._released = False

    def __repr__(self) -> str:
        state = "released" if self._released else "failed" if self.failed else "held"
        return f"<Lease of worker {self.worker_id} (pid {self.pid}), {state}>"

    @property
    def worker_id(self) -> int:
        """The worker's number in its pool."""
        return self._worker.id

    @property
    def pid(self) -> int:
        """The worker's process ID."""
        return self._worker.pid

    def send(self, *data: Any) -> None:
        """Send a request, without waiting for the answer.

        Raises:
            ProtocolError: the message cannot be sent by this protocol and codec.
            InvalidLease: the lease was released.
        """
        self._check()
        call = self._form.single("lease().send", data, {})
        try:
            request = self._form.pack(call)
        except Unsendable as trouble:
            raise trouble.error from None
        self._worker.send(*request)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is something to read on stdout or stderr, or the worker has ended.

        Args:
            timeout: the most seconds to wait; None waits without limit.

        Returns:
            False on timeout, otherwise True.
        """
        self._check()
        return self._worker.wait(timeout)

    @property
    def has_stdout(self) -> bool:
        """True if `read_stdout` would return, or raise, at once."""
        self._check()
        return self._worker.has_answer

    @property
    def has_stderr(self) -> bool:
        """True if there is stderr output to read."""
        self._check()
        return self._worker.has_stderr

    def read_stdout(self) -> Any:
        """Return the answer to the oldest unanswered request, waiting for it if necessary.

        Raises:
            UnexpectedEOF: the worker ended without answering.
            ProtocolError: the worker's output is not an answer.
        """
        self._check()
        return self._worker.take_answer()

    def read_stderr(self) -> str:
        """Return what the worker has written to stderr since the last call."""
        self._check()
        return self._worker.take_stderr()

    @property
    def failed(self) -> bool:
        """True if the worker cannot be used again: it ended, broke the protocol, or was marked."""
        return self._worker.failed

    def mark_failed(self) -> None:
        """Have the worker replaced when the lease is released."""
        self._worker.failed = True

    @uninterrupted
    def release(self) -> None:
        """Give the worker back; unread answers are dropped.

        Raises:
            InvalidLease: it was released before.
        """
        self._check()
        self._released = True
        self._worker.release(self._grace)

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
        if kind is not None and self._worker.owed:
            self.mark_failed()  # after an exception, do not wait for answers still to come
        self.release()

    def __del__(self) -> None:
        if not self._released:
            self._worker.drop()

    def _check(self) -> None:
        self._worker.require_own_process()
        if self._released:
            raise InvalidLease("this lease was released before; take a new one with pool.lease()")
