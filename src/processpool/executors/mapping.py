"""`Executor.map`: all input is submitted at once, and answers are taken when they are wanted.

It is not the pool's `map`, which reads ahead only as far as it needs: here the order of events is
that of the standard library. With `buffersize`, so many items are submitted, and one more for each
answer that is taken. Answers travel as those of any map do, many together.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from functools import partial
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.map_input import MAX_BYTES
from processpool.api.map_job import MapJob
from processpool.api.map_state import LazyState, Run
from processpool.core.jobs import Batch, Origin
from processpool.core.replies import Reply, loaded
from processpool.executors.work import echo, translate_all, translated
from processpool.system.interrupts import uninterrupted
from processpool.system.monitor import Monitor
from processpool.wire.python.arguments import pack_items
from processpool.wire.python.layout import STAR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.api.map_state import Chunk
    from processpool.engine.backend import Backend
    from processpool.executors.work import Work
    from processpool.wire.python.functions import Task

CHUNK = 4096
"""Items that are submitted together, at most."""


class ExecutorMap(MapJob):
    """One `map` of an executor."""

    _state: LazyState

    def __init__(
        self, engine: Backend, work: Work, task: Task, items: Iterator[Any], timeout: float | None
    ) -> None:
        """`timeout` is that of each item."""
        super().__init__(engine, LazyState(), task, timeout)
        self._work = work
        self._items = items
        self._lock = Monitor()
        """Guards the state, which answers reach on other threads."""
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
            self._submit_all(items)
            if len(items) < size:
                self._end_input()
                return
            most = None if most is None else most - size

    def _submit_all(self, items: list[Any]) -> None:
        while items:
            payloads, _, refusal = pack_items(items, STAR, MAX_BYTES)
            taken = len(payloads) + (refusal is not None)
            self._submit(payloads, taken, refusal)
            items = items[taken:]

    @uninterrupted
    def _submit(self, payloads: list[Any], taken: int, refusal: BaseException | None) -> None:
        """Submit what was packed; behind it there may be one item that cannot be sent."""
        with self._lock:
            self._work.admit(self)
            start = self._state.add(taken)
        self._appear()
        if payloads:
            batch = Batch(self, start, payloads, monotonic())
            try:
                self._engine.submit(batch, limit=False)
            except Exception as error:
                self.drop(batch, error)
                raise translated(error)  # noqa: B904 - it has a cause of its own
        if refusal is not None:
            self._refuse(start + len(payloads), refusal)

    @uninterrupted
    def _end_input(self) -> None:
        with self._lock:
            self._state.end_input()
            self._note_end()

    # -- the engine's side -----------------------------------------------------------------------

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Answers have come; what they have printed is shown before anybody gets them."""
        if not origin.plain:
            translate_all(answers)
        self._learn_pace(batch, origin)
        if origin.plain or not self._work.echo:
            self._put(batch, answers, origin)
        elif self._engine.is_current:  # the streams may be the user's: they must not hold it up
            self._engine.run_callback(partial(self._echo_and_put, batch, answers, origin))
        else:
            self._echo_and_put(batch, answers, origin)

    def _echo_and_put(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        echo(answers)
        self._put(batch, answers, origin)

    def _put(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        with self._lock:
            if origin.plain:
                wake = self._state.put_run(batch.start, answers)
            else:
                wake = self._record(batch, answers, origin)
            self._note_end()
            if wake:
                self._lock.notify_all()

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """These items never start."""
        error = translated(error or CancelledError("it was cancelled before it started"))
        with self._lock:
            self._state.drop(batch.start, len(batch), error)
            self._note_end()
            self._lock.notify_all()

    def _note_end(self) -> None:
        """Under the lock: if nothing is outstanding, the executor need not wait for this map."""
        if not self._state.outstanding:
            self._work.done(self)
            if self._state.exhausted:
                self._vanish()

    def _ahead(self) -> int:
        """Nothing is read ahead: `submit` says when."""
        return 0

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
            while (arrived := self._take(deadline)) is not None:
                while arrived:
                    answers = _Answers(arrived.pop(0))
                    while answers.left:
                        if self._is_buffered:
                            self.submit(1)
                        yield answers.pop()
        except GeneratorExit:  # perhaps by the garbage collector: take no lock
            if self._state.outstanding:
                self._cancel_soon()
            raise
        except BaseException as error:
            if isinstance(error, Exception):
                self.cancel()
            else:
                self.kill()
            raise
        finally:
            self._vanish()

    def _take(self, deadline: float | None) -> list[Chunk] | None:
        """The next answers; None at the end."""
        self._engine.require_calm()
        timeout = None if deadline is None else deadline - monotonic()
        found = self._lock.wait_for(self._state.look, timeout)
        if isinstance(found, list):
            return found
        if found is None:
            raise TimeoutError
        if self._state.error is not None:
            raise self._state.error
        return None


class _Answers:
    """The answers of a chunk, of which each is given away once and not kept."""

    __slots__ = ("_offset", "_run", "left")

    def __init__(self, chunk: Chunk) -> None:
        self._run = chunk if isinstance(chunk, Run) else None
        self.left = chunk.answers if isinstance(chunk, Run) else chunk
        self.left.reverse()
        self._offset = 0

    def pop(self) -> Any:
        """The next value; or its error is raised."""
        if self._run is None:
            return self.left.pop()
        answer = loaded(self.left.pop())
        self._offset += 1
        if type(answer) is not Reply:
            return answer
        if answer.error is not None:
            raise self._run.outcome(self._offset - 1, answer).error or answer.error
        return answer.value
