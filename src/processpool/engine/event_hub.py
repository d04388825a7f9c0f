"""Publishes events to listeners, and keeps the last failure for the displays.

Listeners and log handlers are the user's code. The thread that leads does not run them: a thread
of their own does, and is waited for a moment. So listeners know about an item before its caller has
the answer, and yet a listener that waits does not stop the pool.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from processpool.core import events
from processpool.core.log_fields import log_fields
from processpool.core.replies import PickledReply, Reply
from processpool.core.snapshot import Failure, Loss
from processpool.wire.python.remote_errors import ends_the_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from processpool.engine.callback_threads import CallbackThreads
    from processpool.engine.workers.worker import Worker

log = logging.getLogger("processpool")

MAX_LOSSES = 256
MAX_PRINTS = 100
"""The most that are kept between two looks of a display."""
MAX_PRINTED = 2000
"""The most characters of what one item printed; of more, the end."""


@dataclass(eq=False, slots=True)
class _Listener:
    callback: Callable[[events.Event], None]
    quick: bool
    items: bool

    def hear(self, event: events.Event) -> None:
        """Tell it; what it raises harms nobody."""
        try:
            self.callback(event)
        except BaseException as error:
            if ends_the_program(error):
                raise
            log.exception("an event callback raised", extra=log_fields())


class Led(Protocol):
    """What the hub must know of its engine."""

    @property
    def is_current(self) -> bool:
        """True on a thread that others wait for, which so must not run code of the user's."""


class EventHub:
    """The listeners of one pool."""

    def __init__(self, core: Led, callbacks: CallbackThreads, pool: str = "") -> None:
        """`pool` is the name of the pool, for log records."""
        self.pool = pool
        self.last_failure: Failure | None = None
        self.losses: deque[Loss] = deque(maxlen=MAX_LOSSES)
        """The last workers that ended while they had an item."""
        self.prints: deque[tuple[int, int, str]] = deque(maxlen=MAX_PRINTS)
        """What items printed, lately: a running number, the worker, and the text."""
        self._printed = 0
        self.has_listeners = False
        """True if anybody wants to know of every item."""
        self._listeners: tuple[_Listener, ...] = ()
        self._core = core
        self._callbacks = callbacks

    def listen(
        self, callback: Callable[[events.Event], None], *, quick: bool = False, items: bool = True
    ) -> Callable[[], None]:
        """Call `callback` with every event from now on; the result ends that.

        A `quick` one may run on the thread that leads: it must not wait, nor use the pool. Without
        `items`, it is not told of `ItemsFinished`.
        """
        listener = _Listener(callback, quick, items)
        self._keep((*self._listeners, listener))

        def unsubscribe() -> None:
            self._keep(tuple(known for known in self._listeners if known is not listener))

        return unsubscribe

    def _keep(self, listeners: tuple[_Listener, ...]) -> None:
        self._listeners = listeners
        self.has_listeners = any(listener.items for listener in listeners)

    def remember(
        self, error: str, number: int, worker: Worker | None, own_stderr: str | None = None
    ) -> None:
        """Keep an error, in words, for the displays, as the last one.

        `own_stderr` is what its item wrote; None if it is all that the worker did.
        """
        self.last_failure = Failure(
            monotonic(),
            error,
            number,
            None if worker is None else worker.pid,
            "" if worker is None else worker.stderr.tail,
            own_stderr,
        )

    def note_prints(self, worker_id: int, answers: Iterable[Any]) -> None:
        """Keep what items printed for the displays."""
        for answer in answers:
            text = answer.stdout if isinstance(answer, Reply | PickledReply) else None
            if text:
                self._printed += 1
                self.prints.append((self._printed, worker_id, text[-MAX_PRINTED:]))

    def publish(self, event: events.Event) -> None:
        """Tell the listeners; a listener that raises harms nobody."""
        of_items = type(event) is events.ItemsFinished
        for listener in self._listeners:
            if of_items and not listener.items:
                continue
            if listener.quick:
                listener.hear(event)
            else:
                self.run(partial(listener.hear, event))

    def run(self, action: Callable[[], object]) -> None:
        """Run code of the user's: here, unless this is the thread that leads."""
        if self._core.is_current:
            self._callbacks.tell(action)
        else:
            action()

    def warn(self, text: str, *args: object, worker: int | None = None) -> None:
        """Log a warning about the pool, or about one of its workers."""
        fields = log_fields(self.pool, worker)
        self.run(partial(log.warning, text, *args, extra=fields))

    def report_unsolicited(self, worker: Worker, output: bytes) -> None:
        """A worker wrote to its stdout though it had no request: tell whoever wants to know."""
        if not output:  # it is replaced for another reason
            return
        worker.trial.unsolicited = worker.trial.unsolicited or output
        self.warn(
            "worker %d (pid %d) wrote %r to its standard output without a request, and is "
            "replaced; standard output is for answers: write everything else to standard error",
            worker.id, worker.pid, output[:64], worker=worker.id,
        )  # fmt: skip
        self.publish(events.WorkerWroteUnasked(monotonic(), worker.id, worker.pid, output[:1024]))

    def forget(self) -> None:
        """Tell nobody any more."""
        self._keep(())
