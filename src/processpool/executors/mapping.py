"""`Executor.map`: all input is submitted at once, and a generator yields the results.

This follows the standard library; the pool's own `map` reads its input only as far ahead as needed.
With `buffersize`, that many items are submitted at first, and another one for each result that is
taken. Items travel in batches, as those of any map.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from functools import partial
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.item_notes import Naming
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

    from processpool.api.intake import Intake
    from processpool.api.map_state import Chunk
    from processpool.executors.work import Work
    from processpool.wire.python.functions import Task

CHUNK = 4096
"""The most items that are submitted together."""


class ExecutorMap(MapJob):
    """A running `map` of an executor."""

    _state: LazyState

    def __init__(self, intake: Intake, work: Work, task: Task, items: Iterator[Any]) -> None:
        naming = Naming(task.function.name.rpartition("<locals>.")[2], is_map=True)
        super().__init__(
            intake.engine, LazyState(), task, intake.timeout, terms=intake.terms, naming=naming
        )
        self._work = work
        self._items = items
        self._lock = Monitor()
        """Guards the state, which other threads change when they deliver answers."""
        self._is_buffered = False

    def submit(self, most: int | None) -> None:
        """Submit up to `most` items, or all.

        Raises:
            RuntimeError: the executor was shut down, or its pool was closed.
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
        """Take answers; the output of the items is printed before their results can be taken."""
        if not origin.plain:
            translate_all(answers)
        self._learn_pace(batch, origin)
        if origin.plain or not self._work.echo:
            self._put(batch, answers, origin)
        elif self._engine.is_current:  # sys.stdout may be a stream of the user's that blocks
            self._engine.run_callback(partial(self._echo_and_put, batch, answers, origin))
        else:
            self._echo_and_put(batch, answers, origin)

    def _echo_and_put(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        echo(answers)
        self._put(batch, answers, origin)

    def _put(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        with self._lock:
            if origin.plain:
                self._note_run(batch, origin)
                wake = self._state.put_run(batch.start, answers)
            else:
                wake = self._record(batch, answers, origin)
            self._note_end()
            if wake:
                self._lock.notify_all()

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """Note that these items will never start, because of `error` or a cancellation."""
        error = translated(error or CancelledError("it was cancelled before it started"))
        with self._lock:
            self._state.drop(batch.start, len(batch), error)
            self._note_end()
            self._lock.notify_all()

    def _note_end(self) -> None:
        """If no answers are outstanding, stop counting as pending; called under the lock."""
        if not self._state.outstanding:
            self._work.done(self)
            if self._state.exhausted:
                self._vanish()

    def _ahead(self) -> int:
        """Return 0, since nothing is read ahead by itself: `submit` does it."""
        return 0

    def cancel(self) -> bool:
        """Cancel the items that have not started."""
        self._engine.cancel(self, kill=False)
        return True

    def stop(self) -> None:
        """End the map from outside."""
        self.kill()

    def kill(self) -> bool:
        """Cancel the items that have not started, and replace the workers that run one."""
        self._engine.cancel(self, kill=True)
        return True

    # -- the consumer's side ---------------------------------------------------------------------

    def results(self, deadline: float | None) -> Iterator[Any]:
        """Yield the results in order; leaving the generator early cancels the rest.

        Raises:
            TimeoutError: the next result was not there by `deadline`.
            Exception: the error of the next item.
        """
        try:
            while (arrived := self._take(deadline)) is not None:
                while arrived:
                    answers = _Answers(arrived.pop(0))
                    while answers.left:
                        if self._is_buffered:
                            self.submit(1)
                        yield answers.pop()
        except GeneratorExit:  # perhaps raised by the garbage collector, so take no lock
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
        """Wait for the next answers and return them; None at the end."""
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
    """The answers of a chunk; each is removed when it is taken, so that its memory can be freed."""

    __slots__ = ("_offset", "_run", "left")

    def __init__(self, chunk: Chunk) -> None:
        self._run = chunk if isinstance(chunk, Run) else None
        self.left = chunk.answers if isinstance(chunk, Run) else chunk
        self.left.reverse()
        self._offset = 0

    def pop(self) -> Any:
        """Return the next value, or raise the item's error."""
        if self._run is None:
            return self.left.pop()
        answer = loaded(self.left.pop())
        self._offset += 1
        if type(answer) is not Reply:
            return answer
        if answer.error is not None:
            raise self._run.outcome(self._offset - 1, answer).error or answer.error
        return answer.value
