"""What an executor has given to its pool and is not done with.

Futures, and the executor's maps, know the work they belong to and so keep it alive; it knows
nothing of the executor. Thus an executor that is dropped is gone at once, and what was pending is
finished all the same.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from processpool.api.futures import PoolFuture, SingleJob
from processpool.core.replies import PickledReply, Reply
from processpool.engine import at_exit
from processpool.errors import PoolBroken, PoolClosed, WorkerDied
from processpool.system.monitor import Monitor

if TYPE_CHECKING:
    from typing import Self

    from processpool.api.intake import Intake
    from processpool.core.jobs import Batch, Origin

SHUT_DOWN = "cannot schedule new futures after shutdown"
EXIT = "cannot schedule new futures after interpreter shutdown"
"""As the standard library says it."""
WINDOW = 2
"""Single items that a worker may have at a time: few, as those that it has cannot be cancelled."""


class Pending(Protocol):
    """A future or a map."""

    def cancel(self) -> bool:
        """What has not started never starts."""

    def kill(self) -> bool:
        """As `cancel`, and what runs is ended."""


class Work:
    """The futures and maps of one executor that have not ended."""

    def __init__(self, *, echo: bool = False) -> None:
        """With `echo`, what items print is printed here, as each item ends."""
        self.echo = echo
        self._changed = Monitor()
        self._pending: dict[object, Pending] = {}
        self._closed = False
        at_exit.wait_for(self)

    def admit(self, pending: Pending) -> None:
        """Something new begins.

        Raises:
            RuntimeError: the executor was shut down, or the interpreter ends.
        """
        with self._changed:
            self.check()
            self._pending[pending] = pending

    def check(self) -> None:
        """See that something new may begin.

        Raises:
            RuntimeError: it may not.
        """
        if self._closed or at_exit.is_over():
            raise RuntimeError(SHUT_DOWN if self._closed else EXIT)

    def done(self, pending: object) -> None:
        """It has ended; it may have ended before."""
        with self._changed:
            self._pending.pop(pending, None)
            if not self._pending:
                self._changed.notify_all()

    def close(self) -> None:
        """Nothing new is admitted."""
        with self._changed:
            self._closed = True

    def wait(self) -> None:
        """Wait until everything has ended."""
        self._changed.wait_for(lambda: not self._pending)

    def cancel(self, starting: int = 0) -> None:
        """Cancel what has not started; futures that a starting worker is about to take have."""
        for pending in self._all():
            if starting and isinstance(pending, PoolFuture) and not pending.running():
                starting -= 1
            else:
                pending.cancel()

    def kill(self) -> None:
        """Cancel what has not started, and end what runs."""
        for pending in self._all():
            pending.kill()

    def _all(self) -> list[Pending]:
        with self._changed:
            return list(self._pending.values())


class ExecutorFuture(PoolFuture):
    """The future of one item of an executor."""

    def __init__(self, intake: Intake, work: Work) -> None:
        super().__init__(intake.engine, intake.timeout)
        self._job = _ExecutorJob(self, intake.timeout, work)
        self.add_done_callback(work.done)

    @property
    def job(self) -> SingleJob:
        """The job of its one item."""
        return self._job

    def refuse(self, error: BaseException) -> Self:
        """It cannot even be sent."""
        self._job.refuse(error)
        return self


class _ExecutorJob(SingleJob):
    __slots__ = ("_work",)

    def __init__(self, future: ExecutorFuture, timeout: float | None, work: Work) -> None:
        super().__init__(future, timeout)
        self.window = WINDOW
        self._work = work

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        if self._work.echo and not origin.plain:
            echo(answers)
        if not origin.plain:
            translate_all(answers)
        super().deliver(batch, answers, origin)

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        super().drop(batch, None if error is None else translated(error))


def echo(answers: list[Any]) -> None:
    """Print here what items have printed."""
    for answer in answers:
        if isinstance(answer, Reply | PickledReply):
            for text, stream in ((answer.stdout, sys.stdout), (answer.stderr, sys.stderr)):
                if text and stream is not None:
                    with suppress(OSError, ValueError):  # closed, or nobody reads it
                        stream.write(text)
                        stream.flush()


def translated(error: BaseException) -> BaseException:
    """The error of a pool, as code that was written for executors expects it."""
    if isinstance(error, PoolClosed):
        closed = RuntimeError(SHUT_DOWN)
        closed.__cause__ = error
        return closed
    if isinstance(error, PoolBroken):
        from processpool.executors.broken import ExecutorBroken

        cause = error.__cause__
        broken = ExecutorBroken(f"no worker can be started, so the executor is broken: {cause}")
        broken.__cause__ = cause
        return broken
    if type(error) is WorkerDied:
        from processpool.executors.broken import ExecutorWorkerDied

        died = ExecutorWorkerDied(*error.args)
        died.__dict__.update(error.__dict__)
        died.__cause__ = error.__cause__
        return died
    return error


def translate_all(answers: list[Any]) -> None:
    """As `translated`, for the errors of items."""
    for answer in answers:
        if type(answer) is Reply and answer.error is not None:
            answer.error = translated(answer.error)
