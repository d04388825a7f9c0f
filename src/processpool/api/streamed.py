"""A future whose item may yield: its parts can be read before the end."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED
from typing import TYPE_CHECKING, Any, TypeVar

from processpool.api.future_waits import FUTURES
from processpool.api.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Generator

    from processpool.core.jobs import Job
    from processpool.engine.backend import Backend


T = TypeVar("T")


class StreamedFuture(Future[T]):
    """The part of a pool's future that has the parts of its item."""

    _engine: Backend
    _job: Job
    _stream: Stream | None = None
    """Its parts, if there are any; or once somebody asks for them."""
    _is_awaited = False
    """True once somebody waits for the end, whether or not anybody reads the parts."""

    def parts(self) -> Generator[Any]:
        """Yield what the item's generator yields, as soon as it does; then raise what it raised.

        Leaving the loop stops the generator: it is closed in its worker, which lives. What the
        generator returns is the future's `result()`.
        """
        return self._streamed().read(self, self._job)

    def _streamed(self) -> Stream:
        with FUTURES.lock:
            if self._stream is None:
                self._stream = Stream(self._engine)
                if self._state in (FINISHED, CANCELLED_AND_NOTIFIED):
                    self._stream.end()
            return self._stream
