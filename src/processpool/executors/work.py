"""The pending work of an executor: its futures and maps that have not ended.

Futures and maps refer to the `Work` that they belong to, and that does not refer to the executor.
So an executor without references is collected at once, while its pending work is still finished.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from processpool.api.futures import PoolFuture, SingleJob
from processpool.core.replies import PickledReply, Reply
from processpool.engine import at_exit
from processpool.errors import OutOfMemory, PoolBroken, PoolClosed, WorkerDied
from processpool.system.monitor import Monitor

if TYPE_CHECKING:
    from typing import Self

    from processpool.api.intake import Intake
    from processpool.core.jobs import Batch, Origin

SHUT_DOWN = "cannot schedule new futures after shutdown"
EXIT = "cannot schedule new futures after interpreter shutdown"
"""The messages of the standard library."""
WINDOW = 2
"""The most single items of a worker: few, since an item that a worker has cannot be cancelled."""


class Pending(Protocol):
    """Pending work: a future or a map."""

    def cancel(self) -> bool:
        """Cancel the items that have not started."""

    def kill(self) -> bool:
        """Cancel the items that have not started, and end the running ones."""


class Work:
    """The futures and maps of one executor that have not ended."""

    def __init__(self, *, echo: bool = False) -> None:
        """With `echo`, the output of an item is printed in this process when it ends."""
        self.echo = echo
        self._changed = Monitor()
        self._pending: dict[object, Pending] = {}
        self._closed = False
        at_exit.wait_for(self)

    def admit(self, pending: Pending) -> None:
        """Add a future or map.

        Raises:
            RuntimeError: the executor was shut down, or the interpreter is shutting down.
        """
        with self._changed:
            self.check()
            self._pending[pending] = pending

    def check(self) -> None:
        """Check that new work is accepted.

        Raises:
            RuntimeError: it is not.
        """
        if self._closed or at_exit.is_over():
            raise RuntimeError(SHUT_DOWN if self._closed else EXIT)

    def done(self, pending: object) -> None:
        """Remove a future or map that has ended; it may be removed already."""
        with self._changed:
            self._pending.pop(pending, None)
            if not self._pending:
                self._changed.notify_all()

    def close(self) -> None:
        """Reject new work from now on."""
        with self._changed:
            self._closed = True

    def wait(self) -> None:
        """Wait until everything has ended."""
        self._changed.wait_for(lambda: not self._pending)

    def cancel(self, starting: int = 0) -> None:
        """Cancel everything that has not started, except for the first `starting` futures.

        Those are about to be taken by workers that are starting. The standard library does not
        cancel them either.
        """
        for pending in self._all():
            if starting and isinstance(pending, PoolFuture) and not pending.running():
                starting -= 1
            else:
                pending.cancel()

    def kill(self) -> None:
        """Cancel everything that has not started, and end the running items."""
        for pending in self._all():
            pending.kill()

    def _all(self) -> list[Pending]:
        with self._changed:
            return list(self._pending.values())


class ExecutorFuture(PoolFuture[Any]):
    """The future of one item of an executor."""

    def __init__(self, intake: Intake, work: Work) -> None:
        super().__init__(intake.engine, intake.timeout)
        self._job = _ExecutorJob(self, intake, work)
        self.add_done_callback(work.done)

    @property
    def job(self) -> SingleJob:
        """The job of its item."""
        return self._job

    def refuse(self, error: BaseException) -> Self:
        """Fail with `error`, as the call could not be sent; return the future."""
        self._job.refuse(error)
        return self


class _ExecutorJob(SingleJob):
    __slots__ = ("_work",)

    def __init__(self, future: ExecutorFuture, intake: Intake, work: Work) -> None:
        super().__init__(future, intake.timeout, intake.terms)
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
    """Print the output of items to this process's stdout and stderr."""
    for answer in answers:
        if isinstance(answer, Reply | PickledReply):
            for text, stream in ((answer.stdout, sys.stdout), (answer.stderr, sys.stderr)):
                if text and stream is not None:
                    with suppress(OSError, ValueError):  # closed, or without a reader
                        stream.write(text)
                        stream.flush()


def translated(error: BaseException) -> BaseException:
    """Return the error of a pool as the type that code for executors expects."""
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
    if type(error) in (WorkerDied, OutOfMemory):
        from processpool.executors.broken import ExecutorOutOfMemory, ExecutorWorkerDied

        kind = ExecutorWorkerDied if type(error) is WorkerDied else ExecutorOutOfMemory
        died = kind(*error.args)
        died.__dict__.update(error.__dict__)
        died.__cause__ = error.__cause__
        return died
    return error


def translate_all(answers: list[Any]) -> None:
    """Translate the errors in `answers`, in place."""
    for answer in answers:
        if type(answer) is Reply and answer.error is not None:
            answer.error = translated(answer.error)
