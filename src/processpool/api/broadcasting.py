"""`pool.broadcast`: once on every worker, those that come later included."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from processpool.api.item_notes import Naming
from processpool.core.jobs import Attempt, Batch, Job, Origin
from processpool.core.log_fields import log_fields
from processpool.core.replies import format_reply_error, has_failed
from processpool.errors import WorkerDied
from processpool.system.monitor import Monitor

if TYPE_CHECKING:
    from processpool.core.terms import Terms
    from processpool.engine.backend import Backend
    from processpool.wire.python.functions import Request

log = logging.getLogger("processpool")


class BroadcastJob(Job):
    """One broadcast: its items are the workers' errands, those of the current ones first."""

    is_errand = True

    def __init__(
        self, engine: Backend, request: Request, timeout: float | None, terms: Terms, name: str
    ) -> None:
        super().__init__(timeout, terms=terms)
        self._payload, self.task = request
        self.naming = Naming(terms.name or name, is_map=False)
        self._engine = engine
        self._lock = Monitor(engine.wait)
        self._ended: dict[int, Attempt | BaseException | None] | None = {}
        """By index: what has become of it, None if its worker has gone; None if nobody waits."""

    def deliver(self, batch: Batch, answers: list[Any], origin: Origin) -> None:
        """Keep what a worker has returned, if somebody waits for that."""
        (answer,) = answers
        with self._lock:
            waits = self._ended is not None
            if self._ended is not None:
                self._ended[batch.start] = batch.attempt(0, answer, origin)
                self._lock.notify_all()
        if has_failed(answer) and isinstance(getattr(answer, "error", None), WorkerDied):
            self._engine.cancel(self, kill=False, soon=True)  # it would end every worker to come
        if has_failed(answer) and not waits:
            log.warning(
                "the broadcast of %s failed in worker %d, which was started later: %s",
                self.naming.name if self.naming is not None else "",
                origin.worker_id,
                format_reply_error(answer),
                extra=log_fields(None, origin.worker_id),
            )

    def drop(self, batch: Batch, error: BaseException | None) -> None:
        """Note that a worker has gone before it came to it."""
        with self._lock:
            if self._ended is not None:
                self._ended[batch.start] = error
                self._lock.notify_all()

    def run(self) -> list[Any]:
        """Have all workers run it; return what those have returned that are there now.

        Raises:
            Exception: the first error, after all of them have ended.
        """
        workers = self._engine.broadcast(self, self._payload)
        ended = self._ended
        assert ended is not None
        try:
            self._lock.wait_for(lambda: sum(index < workers for index in ended) >= workers)
        except BaseException:  # interrupted: the workers to come are spared
            self._engine.cancel(self, kill=False)
            raise
        finally:
            with self._lock:
                self._ended = None
        try:
            return _values([ended[index] for index in range(workers)])
        except BaseException:  # what fails here would fail there
            self._engine.cancel(self, kill=False)
            raise


def _values(ended: list[Attempt | BaseException | None]) -> list[Any]:
    values = []
    for end in ended:
        if isinstance(end, Attempt):
            if end.record.error is not None:
                raise end.record.error
            values.append(end.record.value)
        elif end is not None:
            raise end
    return values
