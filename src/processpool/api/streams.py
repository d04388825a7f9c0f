"""The parts of an item, one after another, as its generator yields them.

    worker ──PART frames──▶ leader ── put ──▶ Stream ── next ──▶ reader
       ▲                                        │
       └──────────── taken, or stop ◀───────────┘

A stream belongs to the future of its item. Parts are unpickled by the reader.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from processpool.core.replies import Reply, loaded
from processpool.errors import PoolClosed
from processpool.system.monitor import Monitor
from processpool.wire.python.layout import PARTS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator
    from concurrent.futures import Future

    from processpool.core.jobs import Job
    from processpool.engine.backend import Backend

ALL = (1 << 63) - 1
"""Parts that are taken where nobody is to be waited for."""


_streams: WeakSet[Stream] = WeakSet()
_awaited: WeakSet[Backend] = WeakSet()
"""Engines whose items somebody waits for, all of them."""


def cut_streams(engine: Backend) -> None:
    """End the streams of a pool that is being closed."""
    for stream in list(_streams):
        if stream._engine is engine:
            stream.cut()


@contextmanager
def open_streams(engine: Backend) -> Iterator[None]:
    """While somebody waits until all items have ended: let streams go on that nobody reads."""
    _awaited.add(engine)
    try:
        for stream in list(_streams):
            if stream._engine is engine:
                stream.open_up()
        yield
    finally:
        _awaited.discard(engine)


class News(Enum):
    """What a reader has waited for."""

    PART = 1
    END = 2


class Source(Protocol):
    """Where the parts of a stream come from."""

    def taken(self, parts: int) -> None:
        """So many parts were taken, so more may come."""


class Stream:
    """The parts of one item that have come and were not taken, and the way back to its worker."""

    def __init__(self, engine: Backend) -> None:
        self._engine = engine
        self._lock = Monitor(engine.wait)
        self._parts: deque[Any] = deque()
        self._source: Source | None = None
        self._taken = 0
        self._ended = False
        self.is_read = False
        """True once somebody reads it."""
        self._is_open = False
        self._tell: Callable[[], object] | None = None
        self._local: Generator[Any, None, Any] | None = None
        self._job: Job | None = None
        self._is_cut = False
        """True if its pool is closed while it is read."""
        _streams.add(self)

    # -- the engine's side -----------------------------------------------------------------------

    def put(self, part: Any, source: Source) -> None:
        """A part has come."""
        with self._lock:
            self._parts.append(part)
            self._source = source
            if (self._is_open or self._engine in _awaited) and not self.is_read:
                source.taken(ALL)
            self._lock.notify_all()
        if self._tell is not None:
            self._tell()

    @property
    def is_full(self) -> bool:
        """True if so much has come that the worker waits for the reader."""
        return self.is_read and len(self._parts) >= PARTS

    def lend(self, parts: Generator[Any, None, Any]) -> None:
        """All parts are here: a generator in this process."""
        self._local = parts

    def end(self) -> None:
        """The item has ended."""
        with self._lock:
            self._ended = True
            self._lock.notify_all()
        if self._tell is not None:
            self._tell()

    # -- the reader's side -----------------------------------------------------------------------

    def open_up(self) -> None:
        """Somebody waits for the end of the item: if nobody reads its parts, let all come."""
        with self._lock:
            self._is_open = True
            if self._source is not None and not self.is_read:
                self._source.taken(ALL)

    def read(self, future: Future[Any], job: Job) -> Generator[Any]:
        """Yield the parts, and raise what the item has raised."""
        self._engine.require_streams()
        self.is_read, self._job = True, job
        try:
            self._engine.require_calm()
            while self._lock.wait_for(self._news) is News.PART:
                yield self._next()
            self._end_with(future)
            if self._local is not None:
                yield from self._local
        finally:
            self._leave(future, job)

    async def aread(self, future: Future[Any], job: Job) -> AsyncGenerator[Any, None]:
        """Yield the parts under asyncio."""
        self._engine.require_streams()
        self.is_read, self._job = True, job
        import asyncio  # takes as long as the rest of the package

        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(news.set)

        self._tell = tell
        self._engine.attend()
        try:
            while True:
                news.clear()
                if self._parts:
                    yield self._next()
                elif self._ended:
                    break
                else:
                    await news.wait()
            self._end_with(future)
            for part in self._local or ():
                yield part
        finally:
            self._tell = None
            self._leave(future, job)

    def _end_with(self, future: Future[Any]) -> None:
        """Raise what the item has raised."""
        future.result()
        if self._is_cut:
            raise PoolClosed("the pool was closed before the end of the stream")

    def cut(self) -> None:
        """The pool is being closed: a reader gets no more, and if there is none, all may come."""
        if self._ended:
            return
        if self._job is None:
            self.open_up()
        else:
            self._is_cut = True
            self._engine.stop_stream(self._job)

    def _news(self) -> News | None:
        if self._parts:
            return News.PART
        return News.END if self._ended else None

    def _next(self) -> Any:
        with self._lock:
            part = self._parts.popleft()
            self._taken += 1
            if self._source is not None:
                self._source.taken(self._taken)
        value = loaded(part)
        if type(value) is not Reply:
            return value
        if value.error is not None:
            raise value.error
        return value.value

    def _leave(self, future: Future[Any], job: Job) -> None:
        """Have nothing more of it made; perhaps this is the garbage collector: take no lock."""
        if self._local is not None:
            self._local.close()
        if not future.done():
            self._engine.stop_stream(job)
