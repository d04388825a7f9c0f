"""A worker that one thread drives by hand: its pipes, and how it returns to its engine.

A worker may end just after its last answer, and be lent before that is seen. What it is sent then
it never reads, so nothing is lost: another worker takes its place, within the lease.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core.exit_reason import ExitReason
from processpool.core.replies import Reply, loaded
from processpool.engine.closed_pipes import CLOSED_GRACE, end_input, why_over
from processpool.engine.settling import settle
from processpool.engine.surplus import spoil
from processpool.engine.workers import failures
from processpool.errors import UnexpectedEOF
from processpool.system.interrupts import INTERRUPTIBLE, uninterrupted

if TYPE_CHECKING:
    from processpool.engine.checkout import Checkout
    from processpool.engine.core import Core
    from processpool.engine.workers.worker import Worker
    from processpool.wire.python.functions import Task

REPLACEMENTS = 3
"""Workers that take the place of such a one in a lease, at most: their program may always end."""


class LocalLease:
    """A leased worker process; the local `LeasedWorker`."""

    def __init__(self, core: Core, checkout: Checkout, worker: Worker) -> None:
        self._core = core
        self._checkout = checkout
        self._worker = worker
        self._answers: list[Any] = []
        self._handled = 0
        self._failed = False
        self._is_returned = False
        """True while it has no worker: its own was given back, and another one is not there."""
        self._replacements = REPLACEMENTS
        self._sent: list[tuple[Any, Task | None]] = []
        """Its requests so far, as long as it has answered none."""
        self._torn_at: float | None = None
        """When it was seen to have closed its stdin in the middle of a request."""
        self.owed = 0
        """Requests that were sent, and whose answers nobody has taken yet."""
        self.id = worker.id
        self.pid = worker.pid
        self.require_own_process = core.require_own_process

    @property
    def failed(self) -> bool:
        """True if it cannot be used again; whoever has it may say so."""
        return self._failed or self._worker.process.exitcode is not None

    @failed.setter
    def failed(self, failed: bool) -> None:
        self._failed = failed

    @uninterrupted
    def send(self, payload: Any, task: Task | None) -> None:
        """Send a request, all of it; that does not wait for an answer."""
        if (
            self._sent and not self._worker.channel.is_quiet()
        ):  # it may have ended without beginning them
            self._pump(0)
            self._replace_if_unbegun()
        self.owed += 1
        if not self._handled:
            self._sent.append((payload, task))
        self._write(payload, task)

    def _write(self, payload: Any, task: Task | None) -> None:
        worker = self._worker
        with worker.io:
            sent = worker.send(payload, task)
        while not sent and not worker.has_ended:
            self._pump(None)
            with worker.io:
                sent = worker.flush()
        if worker.protocol.answers_by_exit:
            end_input(self._core, worker)

    @uninterrupted
    def wait(self, timeout: float | None) -> bool:
        """Wait for something to take, or for its end; False if the time is over."""
        deadline = None if timeout is None else monotonic() + timeout
        self._pump(0)
        while not (self._sees_answer() or self._worker.stderr.unclaimed):  # read by the same pump
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left < 0:
                return False
            self._pump(left)
        return True

    @property
    @uninterrupted
    def has_answer(self) -> bool:
        """True if `take_answer` returns, or raises, at once."""
        self._pump(0)
        return self._sees_answer()

    def _sees_answer(self) -> bool:
        """True if there is an answer, or none will come, from another worker either."""
        self._replace_if_unbegun()
        return bool(self._answers) or self._is_over or self._worker.protocol.fault() is not None

    @property
    @uninterrupted
    def has_stderr(self) -> bool:
        """True if it has written to stderr since somebody took that."""
        self._pump(0)
        return bool(self._worker.stderr.unclaimed)

    @uninterrupted
    def take_answer(self) -> Any:
        """Wait for the answer to the oldest open request.

        Raises:
            UnexpectedEOF: it ended without one.
            ProtocolError: what it wrote is no answer.
        """
        while not self._answers:
            fault = self._worker.protocol.fault()
            if fault is not None:
                self._failed = True
                raise failures.broken(self._worker, fault, self._worker.stderr.request)
            if self._is_over and not self._replace_if_unbegun():
                self._failed = True
                raise self._end()
            self._pump(None)
        if self.owed == 1 and self._worker.trial.left:
            with self._worker.io:
                self._answers += settle(self._worker, None)
        with INTERRUPTIBLE:
            (answer,), _ = self._worker.protocol.decode(self._answers[:1])
            value = loaded(answer)
        if self.owed == 1 and (len(self._answers) > 1 or self._worker.protocol.has_surplus):
            value = self._spoilt(value)
        del self._answers[0]
        self.owed -= 1
        self._handled += 1
        self._sent.clear()
        if type(value) is not Reply:
            return value
        if value.error is not None:
            raise value.error
        return value.value

    @uninterrupted
    def take_stderr(self) -> str:
        """What it has written to stderr since this was last called."""
        self._pump(0)
        return self._worker.stderr.take()

    @uninterrupted
    def release(self, grace: float) -> None:
        """Give it back; answers that are owed are read for `grace` seconds at most."""
        worker = self._worker
        if self._is_returned:
            return
        try:
            self._read_off(grace)
        except BaseException:
            self._checkout.discard(worker, ExitReason.LEASE_INTERRUPTED)
            raise
        with worker.io:
            unsolicited = worker.unsolicited_output()
            worker.stderr.take()
        ended = self.failed or worker.has_ended
        if ended or unsolicited or self.owed or not worker.protocol.is_clean:
            self._checkout.discard(worker, ExitReason.LEASE_FAILED)
        else:
            self._checkout.give_back(worker, self._handled)

    def drop(self) -> None:
        """Give it back soon, as it is. Takes no lock."""
        if self._is_returned:
            return
        discard, worker = self._checkout.discard, self._worker
        self._core.loop.post(lambda: discard(worker, ExitReason.LEASE_DROPPED))

    @property
    def _is_over(self) -> bool:
        """True if the worker will not answer any more: it has ended, or closed its stdin."""
        return self._worker.is_over or self._worker.is_deaf() or self._is_torn

    @property
    def _is_torn(self) -> bool:
        """True if it has read only a part of a request, and had a moment in which to exit."""
        if not self._worker.is_torn():
            return False
        now = monotonic()
        if self._torn_at is None:
            self._torn_at = now
        return now - self._torn_at >= CLOSED_GRACE

    def _replace_if_unbegun(self) -> bool:
        """Have another worker in place of one that has ended, if it has begun nothing; True if so.

        Raises:
            PoolClosed, PoolBroken: there is no other one.
        """
        if not self._is_over or not self._is_unbegun():
            return False
        self._replacements -= 1
        self._failed = self._is_returned = True  # until there is another one
        self._checkout.discard(self._worker, ExitReason.ENDED)
        worker = self._checkout.lease(None)
        assert worker is not None
        self._worker, self.id, self.pid = worker, worker.id, worker.pid
        self._failed = self._is_returned = False
        for payload, task in self._sent:
            self._write(payload, task)
        return True

    def _is_unbegun(self) -> bool:
        """Of a worker that answers no more: True if nothing that it was sent here was begun."""
        worker = self._worker
        if not self._replacements or self._failed or self._handled or self._answers:
            return False
        if (
            worker.protocol.fault() is not None
            or worker.protocol.died_loading()
            or not worker.protocol.is_clean
        ):
            return False
        if len(self._sent) != 1 or worker.has_begun():  # of several, which one it has read?
            return False
        if self._checkout.exit_reason_of(worker) is not None:
            return False
        if not worker.process.wait(CLOSED_GRACE):  # it has but closed its pipes
            self._replacements = 0
            return False
        return not worker.has_begun()  # in that moment it may have

    def _read_off(self, grace: float) -> None:
        """Read what is owed; with more to come when the time is over, it has failed."""
        deadline = monotonic() + grace
        self._drop_answers()
        while self.owed > 0 and not self.failed and not self._worker.has_ended:
            left = deadline - monotonic()
            if left <= 0 or self._worker.protocol.fault() is not None:
                return
            self._pump(left)
            self._drop_answers()

    def _drop_answers(self) -> None:
        self.owed -= len(self._answers)
        self._handled += len(self._answers)
        self._answers.clear()

    def _pump(self, timeout: float | None) -> None:
        if self._worker.is_torn():
            timeout = CLOSED_GRACE if timeout is None else min(timeout, CLOSED_GRACE)
        with self._worker.io:
            self._answers += self._worker.pump(timeout)

    def _spoilt(self, value: Any) -> Any:
        """The last answer that was due, with which more has come: an error."""
        self._failed = True
        values = [value, *self._answers[1:]]
        spoil(self._worker, self._answers, values, owed=1)
        return values[0]

    def _end(self) -> UnexpectedEOF:
        worker = self._worker
        exit_reason = self._checkout.exit_reason_of(worker)
        if not worker.process.wait(CLOSED_GRACE) and exit_reason is None:
            exit_reason = why_over(worker)
        error = failures.died(worker, exit_reason, self._core.command, worker.stderr.tail)
        return UnexpectedEOF(
            f"worker {worker.id} (pid {worker.pid}) ended without an answer: {error}"
        )
