"""The workers of a fake engine: numbers and states without processes."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.core.replies import Reply
from processpool.core.snapshot import WorkerCounts, WorkerSnapshot
from processpool.core.states import WorkerEvent, WorkerState, after
from processpool.errors import ProcessPoolError, UnexpectedEOF, WorkerDied
from processpool.system.interrupts import USERS_CODE
from processpool.system.process import describe_exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from processpool.core.policy import Policy
    from processpool.wire.python.functions import Task

Handler: TypeAlias = "Callable[[Any, Task | None], Any]"
"""A function that answers a request, given its payload and its task."""


class FakeWorker:
    """A worker that runs items in this process."""

    def __init__(self, number: int, place: int) -> None:
        self.id = number
        self.place = place
        """What users know as its slot."""
        self.pid = os.getpid()
        self.state = WorkerState.IDLE
        self.item: int | None = None
        """The index of the current item; None if it has none."""
        self.attempt = 0
        """The number of this attempt at it, from 1."""
        self.since = self.started_at = monotonic()
        self.handled = self.failed = 0
        self.errands = 0
        """How many of the pool's errands it has run."""
        self.stderr = ""

    def perform(self, handler: Handler, payload: Any, task: Task | None) -> Reply:
        """Answer a request: return its value or error, and what it wrote to stdout and stderr.

        A `SystemExit` in the handler ends the worker; a negative status stands for a signal.
        """
        reply, out, err = Reply(), io.StringIO(), io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err), USERS_CODE:
                reply.value = handler(payload, task)
        except SystemExit as end:
            reply.error = self.died(end)
        except Exception as error:
            reply.error = error
        self.keep_output(reply, out.getvalue(), err.getvalue())
        return reply

    def keep_output(self, reply: Reply, stdout: str, stderr: str) -> None:
        """Put what an item has written into its reply."""
        reply.stdout, reply.stderr = stdout or None, stderr or None
        self.stderr = (self.stderr + stderr)[-4096:]
        if isinstance(reply.error, WorkerDied):
            reply.error.pid, reply.error.stderr = self.pid, stderr

    def died(self, end: SystemExit) -> WorkerDied:
        """Return the error of an item that has ended its worker."""
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        error = WorkerDied(
            f"worker {self.id} (pid {self.pid}) {describe_exit(code)} before it answered; it is "
            "no process of its own, so the function has raised SystemExit"
        )
        error.exitcode = code
        return error

    def freeze(self, now: float) -> WorkerSnapshot:
        """Return a snapshot of the worker."""
        working = self.state in (WorkerState.BUSY, WorkerState.LEASED)
        return WorkerSnapshot(
            id=self.id,
            pid=self.pid,
            state=self.state,
            item=self.item,
            item_age=now - self.since if working else None,
            pending=int(self.state is WorkerState.BUSY),
            age=now - self.started_at,
            handled=self.handled,
            failed=self.failed,
            cpu=None,
            memory=None,
            stderr=self.stderr,
            stderr_bytes=len(self.stderr.encode()),
            slot=self.place,
        )


class Roster:
    """The workers of a fake pool. Guarded by the engine's lock."""

    def __init__(self, policy: Policy, make: Callable[[int, int], FakeWorker] = FakeWorker) -> None:
        """`make` makes a worker, given its number and its slot."""
        self.policy = policy
        self._make = make
        self.workers: dict[int, FakeWorker] = {}
        self._numbers = count(1)

    def fill(self) -> None:
        """Add workers up to the policy's `min`, and remove idle ones above its `max`."""
        while len(self.workers) < self.policy.min:
            self._add()
        for worker in list(self.workers.values()):
            if len(self.workers) > self.policy.max and worker.state is WorkerState.IDLE:
                del self.workers[worker.id]

    def take(self, event: WorkerEvent) -> FakeWorker | None:
        """Take an idle or new worker, and apply `event` to it; return None if there is none."""
        for worker in self.workers.values():
            if worker.state is WorkerState.IDLE:
                break
        else:
            if len(self.workers) >= self.policy.max:
                return None
            worker = self._add()
        worker.state = after(worker.state, event)
        worker.since = monotonic()
        return worker

    def free(self, worker: FakeWorker, event: WorkerEvent) -> None:
        """Make a worker idle, by `event`."""
        worker.state = after(worker.state, event)
        worker.item = None
        if worker.id in self.workers:
            self.fill()

    def replace(self, worker: FakeWorker) -> FakeWorker | None:
        """Replace a worker by a new one and return that; None if it was replaced before."""
        return None if self.workers.pop(worker.id, None) is None else self._add()

    def counts(self) -> WorkerCounts:
        """Return the numbers of workers by what they do."""
        idle = sum(one.state is WorkerState.IDLE for one in self.workers.values())
        return WorkerCounts(running=len(self.workers) - idle, unassigned=idle, starting=0)

    def _add(self) -> FakeWorker:
        held = {worker.place for worker in self.workers.values()}
        place = next(place for place in count() if place not in held)
        worker = self._make(next(self._numbers), place)
        self.workers[worker.id] = worker
        return worker


class FakeLease:
    """A `LeasedWorker` that answers each request while it is sent."""

    def __init__(
        self, worker: FakeWorker, handler: Handler, release: Callable[[FakeWorker, bool], None]
    ) -> None:
        """`release` is called with the worker and whether it failed, when the lease ends."""
        self.id = worker.id
        self.pid = worker.pid
        self.failed = False
        """True if the worker cannot be used again; may be set by the lease's owner."""
        self._worker = worker
        self._handler = handler
        self._release = release
        self._replies: list[Reply] = []
        self._stderr = ""

    @property
    def owed(self) -> int:
        """The number of requests whose answers have not been taken."""
        return len(self._replies)

    def require_own_process(self) -> None:
        """Do nothing: a fake works in a fork as well."""

    def send(self, payload: Any, task: Task | None) -> None:
        """Run a request, and keep its answer until it is taken."""
        reply = self._worker.perform(self._handler, payload, task)
        self._stderr += reply.stderr or ""
        self._replies.append(reply)
        self._worker.handled += 1

    def wait(self, timeout: float | None) -> bool:
        """Return whether there is something to take, or no timeout; never blocks.

        A fake answers while a request is sent, so nothing more can come by waiting.
        """
        return self.has_answer or self.has_stderr or timeout is None

    @property
    def has_answer(self) -> bool:
        """True if an answer, or an item's error, can be taken."""
        return bool(self._replies)

    @property
    def has_stderr(self) -> bool:
        """True if there is stderr output that has not been taken."""
        return bool(self._stderr)

    def take_answer(self) -> Any:
        """Return the oldest answer that has not been taken.

        Raises:
            UnexpectedEOF: there is none, or the worker ended instead of answering.
            Exception: the error of the request.
        """
        if not self._replies:
            raise UnexpectedEOF(f"worker {self.id} is a fake, and was not sent anything more")
        reply = self._replies.pop(0)
        if isinstance(reply.error, WorkerDied):
            self.failed = True
            raise UnexpectedEOF(f"worker {self.id} ended without an answer: {reply.error}")
        if reply.error is not None:
            self.failed = self.failed or isinstance(reply.error, ProcessPoolError)
            raise reply.error
        return reply.value

    def take_stderr(self) -> str:
        """Return what was written to stderr since the last call."""
        taken, self._stderr = self._stderr, ""
        return taken

    def release(self, grace: float) -> None:
        """End the lease; `grace` has no effect, as no answers are outstanding."""
        self._release(self._worker, self.failed)

    def drop(self) -> None:
        """End the lease, and have the worker replaced."""
        self._release(self._worker, True)
