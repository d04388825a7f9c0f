"""The interface through which executors submit calls to a pool, without the queue's limit."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.core.jobs import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.api.call_forms import CallForm
    from processpool.core.jobs import Job
    from processpool.core.terms import Terms
    from processpool.engine.backend import Backend
    from processpool.wire.python.functions import Request


class Intake(NamedTuple):
    """Submits calls to a pool of functions."""

    engine: Backend
    """The engine, for the constructors of futures and maps."""
    form: CallForm
    timeout: float | None
    """The time limit of one item, in seconds."""
    terms: Terms
    """How urgent its items are, and how often they are tried."""

    def pack(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Request:
        """Return a call as a request, pickled.

        Raises:
            Unsendable: the arguments cannot be pickled.
            Exception: whatever pickling the function raises.
        """
        return self.form.pack(self.form.single("submit", (fn, *args), kwargs))

    def submit(self, job: Job, request: Request) -> None:
        """Submit the request of a job with a single item.

        Raises:
            PoolClosed, PoolBroken: the pool takes no work.
        """
        payload, task = request
        job.task = task
        self.engine.submit(Batch(job, 0, [payload], monotonic()), limit=False)

    @property
    def workers_starting(self) -> int:
        """The number of workers that are not ready yet."""
        return self.engine.counts.starting

    @property
    def is_delivering(self) -> bool:
        """True on the thread that runs the engine now, for example in a future's callback."""
        return self.engine.is_current

    def abandon(self) -> None:
        """Close the pool in the background, once all that was submitted has ended."""
        self.engine.close(None, wait=False)
