"""A pool under asyncio: `await pool.acall(...)` and `async for answer in pool.aimap(...)`.

The event loop is never blocked: who finds the queue full awaits room in it. When a task that waits
here is cancelled, its item is too, and ended if it runs; that is the difference to leaving an
`async for` early, which lets what runs come to its end.

    input ──reader task──▶ batches ──▶ engine ──▶ arrived ──in order──▶ consumer
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from concurrent.futures import CancelledError
from contextlib import suppress
from itertools import islice
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.call_forms import CallForm
from processpool.api.futures import PoolFuture, SingleJob
from processpool.api.map_job import MapJob
from processpool.api.maps import SLOW_INPUT, raisable
from processpool.core.jobs import Batch, Origin
from processpool.core.replies import Reply, has_failed, open_all
from processpool.errors import ProcessPoolError, QueueFull

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from processpool.api.call_forms import Form, Items, Request
    from processpool.api.maps import MapOptions
    from processpool.engine.local import Engine

CHUNK = 256
"""Items read between two looks at what else the event loop has to do, at most."""


async def acall(engine: Engine, request: Request, timeout: float | None, *, wait: bool) -> Any:
    """Send one request, and await its answer."""
    payload, task = request
    future = _AwaitedFuture(engine, timeout, task)
    await _submit(engine, Batch(future._job, 0, [payload], monotonic()), wait=wait)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.kill()
        raise


class _AwaitedFuture(PoolFuture):
    """One that asyncio can copy, which up to Python 3.11 never ends with `StopIteration`."""

    def __init__(self, engine: Engine, timeout: float | None, task: Any) -> None:
        super().__init__(engine, timeout)
        self._job = _AwaitedJob(self, engine, timeout)
        self._job.task = task

    def set_exception(self, exception: BaseException | None) -> None:
        super().set_exception(exception and raisable(exception))


class _AwaitedJob(SingleJob):
    """Its answer is unpickled neither on the engine's thread nor on that of the event loop."""

    __slots__ = ("_engine",)

    def __init__(self, future: PoolFuture, engine: Engine, timeout: float | None) -> None:
        super().__init__(future, timeout)
        self._engine = engine

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        _deliver_opened(self._engine, super().deliver, batch, answers, origin)


def _deliver_opened(
    engine: Engine,
    deliver: Callable[[Batch, list[Any], Origin], None],
    batch: Batch,
    answers: list[Any],
    origin: Origin,
) -> None:
    """Unpickle answers on a thread where that may take long, and deliver them then."""
    if origin.plain or not engine.is_current:
        deliver(batch, answers, origin)
    else:
        engine.callbacks.run(lambda: deliver(batch, open_all(answers), origin))


async def _submit(engine: Engine, batch: Batch, *, wait: bool) -> None:
    """Submit a batch; if the queue is full, await room, or raise `QueueFull`."""
    try:
        engine.submit(batch, wait=False)
    except QueueFull:
        if not wait:
            raise
        await _submit_when_there_is_room(engine, batch)


async def _submit_when_there_is_room(engine: Engine, batch: Batch) -> None:
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        _tell(loop, event)

    try:
        while True:
            engine.lock.call_when_room(tell)
            await event.wait()
            event.clear()
            with suppress(QueueFull):  # another one was faster
                engine.submit(batch, wait=False)
                return
    finally:
        engine.lock.forget(tell)


def _tell(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(event.set)


class AsyncMap(MapJob):
    """One `aimap`."""

    def __init__(self, engine: Engine, items: Items, options: MapOptions) -> None:
        super().__init__(
            engine,
            items.task,
            options.timeout,
            total=items.total,
            buffersize=options.buffersize,
        )
        self._pack = items.pack
        self._options = options
        self._counting = Lock()
        self._arrived: dict[int, tuple[Batch, list[Any], Origin]] = {}
        self._stopped = False
        self._taken = 0
        self._next = 0
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    # -- the engine's side -----------------------------------------------------------------------

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Answers have come."""
        self._learn_pace(batch, origin)
        _deliver_opened(self._engine, self._put, batch, answers, origin)

    def _put(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        failed = sum(map(has_failed, answers))
        with self._counting:
            self._count_ended(len(batch), failed)
        self._arrived[batch.start] = batch, answers, origin
        _tell(self._loop, self._news)

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """These items never start."""
        error = error or asyncio.CancelledError("the map was stopped")
        now = monotonic()
        answers: list[Any] = [Reply(error=error)] * len(batch)
        self.deliver(batch, answers, Origin(0, 0, now, now, plain=False))

    def stop(self) -> None:
        """End the map from outside: its consumer gets `CancelledError`."""
        self._stopped = True
        self._engine.cancel(self, kill=True)
        _tell(self._loop, self._news)

    # -- reading ---------------------------------------------------------------------------------

    async def read(self, source: AsyncIterator[list[Any]]) -> None:
        """Submit what the source gives, never further ahead than is allowed."""
        try:
            async for items in source:
                await self._submit(items)
                while self._read - self._taken >= self._ahead():
                    self._room.clear()
                    await self._room.wait()
            self._exhausted = True
        finally:
            self._news.set()

    def allowed(self) -> int:
        """How many items may be read now; at least one, as it is asked only when there is room."""
        return max(1, self._ahead() - (self._read - self._taken))

    async def _submit(self, items: list[Any]) -> None:
        start, payloads = self._read, []
        self._read += len(items)
        with self._counting:
            self._outstanding += len(items)
        for item in items:
            try:
                payloads.append(item if self._pack is None else self._pack(item))
            except ProcessPoolError as error:
                await self._send(start, payloads)
                start += len(payloads)
                self._refuse(start, item, error)
                start, payloads = start + 1, []
        await self._send(start, payloads)

    async def _send(self, start: int, payloads: list[Any]) -> None:
        if payloads:
            await _submit(self._engine, Batch(self, start, payloads, monotonic()), wait=True)

    def _refuse(self, index: int, item: Any, error: ProcessPoolError) -> None:
        now = monotonic()
        self.deliver(
            Batch(self, index, [item], now),
            [Reply(error=error)],
            Origin(0, 0, now, now, plain=False),
        )

    # -- the consumer's side ---------------------------------------------------------------------

    async def results(self, source: AsyncIterator[list[Any]]) -> AsyncIterator[Any]:
        """The answers, in order."""
        reader = asyncio.ensure_future(self.read(source))
        kill = False
        self._appear()
        try:
            while await self._is_next_there(reader):
                for result in self._results(*self._arrived.pop(self._next)):
                    self._room.set()
                    yield result
        except asyncio.CancelledError:
            kill = True
            raise
        finally:
            self._vanish()
            reader.cancel()
            if kill:
                self._engine.cancel(self, kill=True)
            else:  # perhaps this is the garbage collector: take no lock
                self._engine.loop.post(lambda: self._engine.cancel(self, kill=False))

    async def _is_next_there(self, reader: asyncio.Future[None]) -> bool:
        """Wait for the next answers; False at the end, or the reader's error is raised."""
        while True:
            self._news.clear()
            if self._stopped:
                raise CancelledError(f"{self.label} was stopped")
            if self._next in self._arrived:
                return True
            if reader.done() and self._next >= self._read:
                reader.result()
                return False
            await self._news.wait()

    def _results(self, batch: Batch, answers: list[Any], origin: Origin) -> Iterator[Any]:
        self._next += len(batch)
        details, on_error = self._options.details, self._options.on_error
        for offset, answer in enumerate(answers):
            self._taken += 1
            if type(answer) is not Reply and not details:
                yield answer
                continue
            record = batch.outcome(offset, answer, origin)
            if record.error is not None and on_error == "raise":
                raise raisable(record.error)
            if record.error is None or on_error == "return":
                yield record if details else record.error or record.value


def aimap(
    engine: Engine, form: Form, args: tuple[Any, ...], options: MapOptions
) -> AsyncIterator[Any]:
    """Run a map under asyncio; iterables may be asynchronous."""
    stand_ins = tuple(() if isinstance(arg, AsyncIterable) else arg for arg in args)
    items = form.many("aimap", stand_ins)
    run = AsyncMap(engine, items, options)
    if stand_ins == args or not any(isinstance(arg, AsyncIterable) for arg in args):
        return run.results(_chunks(items.iterator, run.allowed))
    return run.results(_zipped(args[1:] if isinstance(form, CallForm) else args))


async def _chunks(items: Iterator[Any], allowed: Callable[[], int]) -> AsyncIterator[list[Any]]:
    """The items in lists, long ones if they are quick to read; last what the input raises."""
    size = 1
    trouble: Exception | None = None
    while True:
        began = monotonic()
        wanted = min(size, allowed())
        chunk: list[Any] = []
        try:
            chunk.extend(islice(items, wanted))
        except Exception as error:
            trouble = error
        if chunk:
            yield chunk
        if trouble is not None:
            raise trouble
        if len(chunk) < wanted:
            return
        size = min(size * 2, CHUNK) if monotonic() - began < SLOW_INPUT else 1
        await asyncio.sleep(0)


async def _zipped(iterables: tuple[Any, ...]) -> AsyncIterator[list[Any]]:
    """One item at a time, from iterables of which some are asynchronous."""
    iterators = [_stepping(iterable) for iterable in iterables]
    while True:
        row = []
        for step in iterators:
            try:
                row.append(await step())
            except StopAsyncIteration:
                return
        yield [row[0] if len(row) == 1 else tuple(row)]


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
