"""Single requests under asyncio, and how items are handed in without blocking the event loop."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.futures import PoolFuture, SingleJob
from processpool.api.map_job import raisable
from processpool.api.notebook_errors import beautify
from processpool.core.jobs import Batch, Origin
from processpool.core.replies import load_all
from processpool.errors import QueueFull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processpool.api.item_notes import Naming
    from processpool.core.terms import Terms
    from processpool.engine.backend import Backend
    from processpool.wire.python.functions import Request

LISTENED_EVERY = 0.2
"""Seconds between two looks of an event loop whether somebody has interrupted it."""


async def acall(
    engine: Backend,
    request: Request,
    timeout: float | None,
    terms: Terms,
    named: tuple[Naming, tuple[Any, ...]],
    *,
    wait: bool,
) -> Any:
    """Send one request, and await its answer; `named` is what it is called, and its message."""
    payload, task = request
    future = _AwaitedFuture(engine, timeout, task, terms)
    future._job.usual, future._job.asked = named
    await submit(engine, Batch(future._job, 0, [payload], monotonic()), wait=wait)
    try:
        with interruptible():
            return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.kill()
        raise


class _AwaitedFuture(PoolFuture[Any]):
    """A future that asyncio can copy: up to Python 3.11, none may end with `StopIteration`."""

    def __init__(self, engine: Backend, timeout: float | None, task: Any, terms: Terms) -> None:
        super().__init__(engine, timeout)
        self._job = _AwaitedJob(self, engine, timeout, terms)
        self._job.task = task

    def set_exception(self, exception: BaseException | None) -> None:
        super().set_exception(exception and raisable(exception))


class _AwaitedJob(SingleJob):
    """A job whose answer is unpickled neither by the engine nor by the event loop."""

    __slots__ = ("_engine",)

    def __init__(
        self, future: PoolFuture[Any], engine: Backend, timeout: float | None, terms: Terms
    ) -> None:
        super().__init__(future, timeout, terms)
        self._engine = engine

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        deliver_opened(self._engine, super().deliver, batch, answers, origin)


def deliver_opened(
    engine: Backend,
    deliver: Callable[[Batch, list[Any], Origin], None],
    batch: Batch,
    answers: list[Any],
    origin: Origin,
) -> None:
    """Unpickle answers on a thread where that may take long, then deliver them."""
    if origin.plain or not engine.is_current:
        deliver(batch, answers, origin)
    else:
        engine.run_callback(lambda: deliver(batch, load_all(answers), origin))


async def submit(engine: Backend, batch: Batch, *, wait: bool) -> None:
    """Submit a batch; if the queue is full, await room, or raise `QueueFull`."""
    try:
        engine.submit(batch, wait=False)
    except QueueFull:
        if not wait:
            raise
        await _submit_when_there_is_room(engine, batch)


async def _submit_when_there_is_room(engine: Backend, batch: Batch) -> None:
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def on_room() -> None:
        tell(loop, event)

    try:
        while True:
            engine.call_when_room(on_room)
            await event.wait()
            event.clear()
            with suppress(QueueFull):  # another one was faster
                engine.submit(batch, wait=False)
                return
    finally:
        engine.forget_room(on_room)


def tell(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set an event of an event loop, on another thread than the loop's."""
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(event.set)


@contextmanager
def interruptible() -> Iterator[None]:
    """Have the running event loop look now and then, if this is IPython.

    Its handler of interrupts cancels what a cell awaits, but does not wake the loop for that.
    """
    if "IPython" not in sys.modules:
        yield
        return
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def look() -> None:
        nonlocal timer
        timer = loop.call_later(LISTENED_EVERY, look)

    look()
    try:
        yield
    except asyncio.CancelledError as error:
        beautify(error)
        raise
    finally:
        if timer is not None:
            timer.cancel()
