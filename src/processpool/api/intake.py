"""Where executors hand in their calls, ignoring the queue's limit: executors never wait."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core.jobs import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.api.call_forms import CallForm
    from processpool.core.jobs import Job
    from processpool.engine.backend import Backend
    from processpool.wire.python.functions import Request


class Intake(NamedTuple):
    """The way into a pool of functions."""

    engine: Backend
    """For the constructors of futures and maps; nothing else looks into it."""
    form: CallForm
    timeout: float | None
    """Seconds that one item may take."""

    def pack(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Request:
        """Return a call as it is sent.

        Raises:
            Unsendable: the arguments cannot be pickled.
            Exception: whatever pickling the function raises.
        """
        return self.form.pack(self.form.single("submit", (fn, *args), kwargs))

    def submit(self, job: Job, request: Request) -> None:
        """Hand in the one item of a job.

        Raises:
            PoolClosed, PoolBroken: the pool takes no work.
        """
        payload, task = request
        job.task = task
        self.engine.submit(Batch(job, 0, [payload], monotonic()), limit=False)

    @property
    def workers_starting(self) -> int:
        """Workers that are not ready yet."""
        return self.engine.counts.starting

    @property
    def is_delivering(self) -> bool:
        """True on the thread that delivers answers, as in a future's callback."""
        return self.engine.is_current

    def abandon(self) -> None:
        """Close the pool in the background, once all that was submitted has ended."""
        self.engine.close(None, wait=False)
