"""What an engine tells: events to whoever listens, and the last failure to the displays."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from processpool import events
from processpool.engine.raised import ends_the_program, in_words
from processpool.snapshot import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.worker import Worker

log = logging.getLogger("processpool")


class News:
    """The listeners of one pool."""

    def __init__(self) -> None:
        self.last_failure: Failure | None = None
        self._listeners: tuple[Callable[[events.Event], None], ...] = ()

    def listen(self, callback: Callable[[events.Event], None]) -> Callable[[], None]:
        """Call `callback` with every event from now on; the result ends that."""
        self._listeners = (*self._listeners, callback)

        def unsubscribe() -> None:
            self._listeners = tuple(known for known in self._listeners if known is not callback)

        return unsubscribe

    @property
    def has_listeners(self) -> bool:
        """True if anybody wants to know of events."""
        return bool(self._listeners)

    def remember(self, error: BaseException, number: int, worker: Worker | None) -> None:
        """Keep an error for the displays, as the last one."""
        self.last_failure = Failure(
            monotonic(),
            in_words(error),
            number,
            None if worker is None else worker.pid,
            "" if worker is None else worker.stderr.tail,
        )

    def emit(self, event: events.Event) -> None:
        """Tell the listeners; a listener that raises harms nobody."""
        for callback in self._listeners:
            try:
                callback(event)
            except BaseException as error:
                if ends_the_program(error):
                    raise
                log.exception("an event callback raised")

    def report_stray(self, worker: Worker, output: bytes) -> None:
        """A worker wrote to its stdout though it had no request: tell whoever wants to know."""
        log.warning(
            "worker %d (pid %d) wrote %r to its standard output without a request, and is "
            "replaced; standard output is for answers: write everything else to standard error",
            worker.id, worker.pid, output[:64],
        )  # fmt: skip
        self.emit(events.WorkerWroteUnasked(monotonic(), worker.id, worker.pid, output[:1024]))

    def forget(self) -> None:
        """Tell nobody any more."""
        self._listeners = ()
