"""`Executor.map`: all input is submitted at once, and answers are taken when they are wanted.

It is not the pool's `map`, which reads ahead only as far as it needs: here the order of events is
that of the standard library. With `buffersize`, so many items are submitted, and one more for each
answer that is taken. Answers travel as those of any map do, many together.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.map_job import MapJob
from processpool.core.jobs import Batch, Origin
from processpool.core.replies import Reply, opened
from processpool.executors.work import echo, translate_all, translated
from processpool.system.interrupts import uninterrupted
from processpool.system.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.engine.local import Engine
    from processpool.executors.work import Work
    from processpool.wire.python.functions import Task

CHUNK = 4096
"""Items that are submitted together, at most."""


class ExecutorMap(MapJob):
    """One `map` of an executor."""

    def __init__(
        self, engine: Engine, work: Work, task: Task, items: Iterator[Any], timeout: float | None
    ) -> None:
        """`timeout` is that of each item."""
        super().__init__(engine, task, timeout)
        self._work = work
        self._items = items
        self._changed = Monitor()
        self._arrived: dict[int, _Arrived] = {}
        self._next = 0
        self._is_buffered = False

    def submit(self, most: int | None) -> None:
        """Submit so many items, or all.

        Raises:
            RuntimeError: the executor was shut down, or its pool was.
        """
        self._is_buffered = most is not None
        while most is None or most > 0:
            size = CHUNK if most is None else min(most, CHUNK)
            items = list(islice(self._items, size))
            if items:
                self._submit(items)
            if len(items) < size:
                with self._changed:
                    self._exhausted = True
                    self._vanish_if_over()
                return
            most = None if most is None else most - size

    @uninterrupted
    def _submit(self, items: list[Any]) -> None:
        with self._changed:
            self._work.admit(self)
            self._outstanding += len(items)
        self._appear()
        batch = Batch(self, self._read, items, monotonic())
        self._read += len(items)
        try:
            self._engine.submit(batch, limit=False)
        except Exception as error:
            self.drop(batch, error)
            raise translated(error)  # noqa: B904 - it has a cause of its own

    # -- the engine's side -----------------------------------------------------------------------

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Answers have come."""
        if self._work.echo and not origin.plain:
            echo(answers)
        if not origin.plain:
            translate_all(answers)
        self._learn_pace(batch, origin)
        self._put(batch, answers, origin)

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """These items never start."""
        now = monotonic()
        error = translated(error or CancelledError("it was cancelled before it started"))
        answers: list[Any] = [Reply(error=error)] * len(batch)
        self._put(batch, answers, Origin(0, 0, now, now, plain=False, failed=len(batch)))

    def _put(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        with self._changed:
            self._arrived[batch.start] = _Arrived(batch, answers, origin)
            self._count_ended(len(batch), origin.failed)
            if not self._outstanding:
                self._work.done(self)
            self._vanish_if_over()
            if self._next in self._arrived:
                self._changed.notify_all()

    def _vanish_if_over(self) -> None:
        if self._exhausted and not self._outstanding:
            self._vanish()

    def cancel(self) -> bool:
        """What has not started never starts."""
        self._engine.cancel(self, kill=False)
        return True

    def stop(self) -> None:
        """End it from outside."""
        self.kill()

    def kill(self) -> bool:
        """As `cancel`, and the workers that run an item of it are replaced."""
        self._engine.cancel(self, kill=True)
        return True

    # -- the consumer's side ---------------------------------------------------------------------

    def results(self, deadline: float | None) -> Iterator[Any]:
        """The values, in order; when it is left before the end, the rest is cancelled.

        Raises:
            TimeoutError: the next one was not there in time.
            Exception: what the item raised, in its place.
        """
        try:
            while self._next < self._read:
                arrived = self._take(deadline)
                while arrived.answers:
                    if self._is_buffered:
                        self.submit(1)
                    yield arrived.pop()
        except GeneratorExit:  # perhaps by the garbage collector: take no lock
            if self._outstanding:
                self._engine.loop.post(self.cancel)
            raise
        except BaseException as error:
            if isinstance(error, Exception):
                self.cancel()
            else:
                self.kill()
            raise
        finally:
            self._vanish()

    def _take(self, deadline: float | None) -> _Arrived:
        self._engine.lock.require_calm()
        timeout = None if deadline is None else deadline - monotonic()
        if not self._changed.wait_for(lambda: self._next in self._arrived, timeout):
            raise TimeoutError
        arrived = self._arrived.pop(self._next)
        self._next += len(arrived.answers)
        return arrived


class _Arrived:
    """The answers of a batch, of which each is given away once and not kept."""

    __slots__ = ("_batch", "_offset", "_origin", "answers")

    def __init__(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        answers.reverse()
        self.answers = answers
        self._batch = None if origin.plain else batch
        self._origin = origin
        self._offset = 0

    def pop(self) -> Any:
        """The next value; or its error is raised."""
        if self._batch is None:
            return self.answers.pop()
        answer = opened(self.answers.pop())
        self._offset += 1
        if type(answer) is not Reply:
            return answer
        if answer.error is not None:
            raise self._batch.outcome(self._offset - 1, answer, self._origin).error or answer.error
        return answer.value
