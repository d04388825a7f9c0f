"""A pool under asyncio: `await pool.acall(...)` and `async for answer in pool.aimap(...)`.

The event loop is never blocked: if the queue is full, room in it is awaited. When a task that waits
here is cancelled, so is its item, even if it is running. Leaving an `async for` early, in contrast,
lets running items finish.

    input ──reader task──▶ batches ──▶ engine ──▶ state ──look──▶ consumer
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable
from concurrent.futures import CancelledError
from contextlib import aclosing
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.async_calls import deliver_opened, interruptible, submit, tell
from processpool.api.bar import Bar
from processpool.api.call_forms import CallForm
from processpool.api.inputs import OpenInputs
from processpool.api.map_input import InputChunk, MapInput
from processpool.api.map_job import MapJob, ending_error, load_run, trimmed, with_record
from processpool.api.map_state import SKIPPED, LazyState, Run, Step
from processpool.api.outcomes import FAILURES, add_outcomes, left_over
from processpool.core.jobs import Batch, Origin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from processpool.api.call_forms import Form, Items
    from processpool.api.map_state import Chunk
    from processpool.api.maps import MapOptions
    from processpool.core.outcome import Outcome
    from processpool.engine.backend import Backend

CHUNK = 256
"""Items read before the event loop gets its turn, at most."""


class AsyncMap(MapJob):
    """One `aimap`."""

    _state: LazyState

    def __init__(self, engine: Backend, items: Items, options: MapOptions) -> None:
        super().__init__(
            engine,
            LazyState(items.total, stops_at_error=options.on_error == "raise"),
            items.task,
            options.timeout,
            naming=options.naming,
            buffersize=options.buffersize,
            progress=options.progress,
            terms=options.terms,
            follower=options.follower,
        )
        self.run_record.is_lazy = True
        self._pack = items.pack
        self._options = options
        self.retry = options.retry
        self._inputs = OpenInputs() if options.details or items.task is None else None
        self._lock = Lock()
        """Guards the state, which answers reach on other threads."""
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    # -- the engine's side -----------------------------------------------------------------------

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Take the answers of a batch."""
        self._learn_pace(batch, origin)
        deliver_opened(self._engine, self._put, batch, answers, origin)

    def _put(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        with self._lock:
            inputs = self._inputs
            items = None if inputs is None else inputs.take(batch.start, len(batch))
            if origin.plain and not self._options.details:
                self._note_run(batch, origin, items)
                wake = self._state.put_run(batch.start, answers)
            else:
                wake = self._record(batch, answers, origin, items)
        if wake:
            self._tell_consumer()
        if self._state.failure is not None and not self.cancelled:
            self._cancel_soon()

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """Give up items that never start."""
        with self._lock:
            self._state.drop(batch.start, len(batch), with_record(error, batch))
        self._tell_consumer()

    def _tell_consumer(self) -> None:
        tell(self._loop, self._news)

    def stop(self) -> None:
        """End the map from outside: its consumer gets `CancelledError`."""
        with self._lock:
            self._state.stop(CancelledError(f"{self.label} was stopped"))
        self._engine.cancel(self, kill=True)
        self._tell_consumer()

    # -- reading ---------------------------------------------------------------------------------

    async def _read(self, source: AsyncGenerator[InputChunk, None]) -> None:
        """Submit what the source yields, never further ahead than allowed."""
        try:
            self._state.allow(self._ahead())
            async with aclosing(source):
                async for chunk in source:
                    await self._submit(chunk)
                    while not self.allowed and not self._state.exhausted:
                        self._room.clear()
                        await self._room.wait()
                    if self._state.exhausted:
                        return
            self._end_input(None)
        except Exception as error:
            self._end_input(error)
        finally:
            self._news.set()

    @property
    def allowed(self) -> int:
        """How many items may be read now."""
        self._state.allow(self._ahead())
        return self._state.free

    def _end_input(self, error: Exception | None) -> None:
        with self._lock:
            self._state.end_input(error)

    async def _submit(self, chunk: InputChunk) -> None:
        self._note_input(chunk)
        with self._lock:
            start = self._state.add(len(chunk))
            if self._inputs is not None:
                self._inputs.add(start, chunk.items)
        if chunk.payloads:
            await self._submit_items(start, chunk)
        if chunk.refusal is not None:
            self._refuse(start + len(chunk.payloads), chunk.refusal, chunk.items[-1])

    async def _submit_items(self, start: int, chunk: InputChunk) -> None:
        """Hand in items, the first of which has the index `start`."""
        await self._submit_batch(Batch(self, start, chunk.payloads, monotonic()))

    async def _submit_batch(self, batch: Batch) -> None:
        try:
            await submit(self._engine, batch, wait=True)
        except Exception as error:
            self.drop(batch, error)
            raise

    async def chunks(self, items: Iterator[Any]) -> AsyncGenerator[InputChunk, None]:
        """The input in chunks; between two of them the event loop has its turn."""
        reader = MapInput(items, self._pack, CHUNK)
        while True:
            chunk = reader.read(max(self.allowed, 1))
            if len(chunk):
                yield chunk
            if chunk.error is not None:
                raise chunk.error
            if chunk.ended:
                return
            await asyncio.sleep(0)

    async def rows(self, iterables: tuple[Any, ...]) -> AsyncGenerator[InputChunk, None]:
        """As `chunks`, an item at a time, from iterables of which some are asynchronous."""
        async for item in _zipped(iterables):
            yield MapInput(iter((item,)), self._pack).read(1)

    # -- the consumer's side ---------------------------------------------------------------------

    async def results(self, source: AsyncGenerator[InputChunk, None]) -> AsyncGenerator[Any]:
        """The answers, in order."""
        reader = asyncio.ensure_future(self._read(source))
        failed: deque[Outcome] = deque(maxlen=FAILURES)
        arrived: list[Chunk] | None = []
        kill = left_early = False
        shown = self.is_wanted and not self.is_followed
        bar = Bar(self._state.counts(over=False).total, self.label, shown=shown)
        self._appear()
        try:
            while (arrived := await self._next()) is not None:
                while arrived:
                    chunk = arrived.pop(0)
                    values, error = self._load(chunk)
                    if isinstance(chunk, Run):
                        failed += [one for one in chunk.records if one.error is not None]
                        if error is not None:
                            arrived.insert(0, chunk.behind(len(values) + 1))
                    for value in values:
                        self._state.taken += 1
                        self._room.set()
                        if value is not SKIPPED:
                            yield value
                    bar.reach(self._state.taken)
                    if error is not None:
                        raise error
        except GeneratorExit:
            left_early = True
            raise
        except BaseException as error:
            self._note_error(error)
            kill = isinstance(error, asyncio.CancelledError)
            with self._lock:
                left = [*(arrived or ()), *self._state.leave()]
            add_outcomes(error, left_over(left, failed, self._state.taken, self.run_record))
            __tracebackhide__ = True
            raise trimmed(error)  # noqa: B904 - it is the same one
        finally:
            self._vanish()
            bar.__exit__()
            reader.cancel()
            self._say_goodbye(left_early=left_early)
            if kill:
                self._engine.cancel(self, kill=True)
            else:  # perhaps this is the garbage collector: take no lock
                self._cancel_soon()

    async def _next(self) -> list[Chunk] | None:
        """Return the next answers; None at the end.

        Raises:
            BaseException: what has ended the map before its time.
        """
        while True:
            self._news.clear()
            with self._lock:
                found = self._state.look()
            if isinstance(found, list):
                return found
            if found is Step.END:
                error = ending_error(self._state)
                if error is not None:
                    raise error
                return None
            began, phases = monotonic(), self.run_record.phases
            is_starved = not self._state.outstanding
            with interruptible():
                await self._news.wait()
            if is_starved:
                phases.reading += monotonic() - began
            else:
                phases.waiting += monotonic() - began

    def _load(self, chunk: Chunk) -> tuple[list[Any], BaseException | None]:
        if not isinstance(chunk, Run):
            return chunk, None
        options = self._options
        began = monotonic()
        values, spoilt, error = load_run(chunk, details=options.details, on_error=options.on_error)
        self.run_record.phases.loading += monotonic() - began
        if spoilt:
            with self._lock:
                self._state.failed += spoilt
                self._note_spoilt(chunk, chunk.records)
        return values, error


def aimap(
    form: Form, args: tuple[Any, ...], make_map: Callable[[Items], AsyncMap]
) -> AsyncGenerator[Any]:
    """Run a map under asyncio; iterables may be asynchronous."""
    stand_ins = tuple(() if isinstance(arg, AsyncIterable) else arg for arg in args)
    items = form.many("aimap", stand_ins)
    if any(isinstance(arg, AsyncIterable) for arg in args):
        run = make_map(items._replace(total=None))
        return run.results(run.rows(args[1:] if isinstance(form, CallForm) else args))
    run = make_map(items)
    return run.results(run.chunks(items.iterator))


async def _zipped(iterables: tuple[Any, ...]) -> AsyncGenerator[Any]:
    """The items, one at a time, from iterables of which some are asynchronous."""
    iterators = [_stepping(iterable) for iterable in iterables]
    while True:
        row = []
        for step in iterators:
            try:
                row.append(await step())
            except StopAsyncIteration:
                return
        yield row[0] if len(row) == 1 else tuple(row)


def _stepping(iterable: Any) -> Callable[[], Awaitable[Any]]:
    """What awaits the next element of an iterable of either kind."""
    if isinstance(iterable, AsyncIterable):
        return aiter(iterable).__anext__
    iterator = iter(iterable)

    async def step() -> Any:
        try:
            return next(iterator)
        except StopIteration:
            raise StopAsyncIteration from None

    return step
