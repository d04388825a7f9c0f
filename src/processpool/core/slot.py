"""What the scheduler knows of one worker."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from processpool.core.states import ExitStep, WorkerState

if TYPE_CHECKING:
    from processpool.core.exit_reason import ExitReason
    from processpool.core.jobs import Batch
    from processpool.core.policy import Policy

LEAD = 10
"""A replacement is started when a tenth of the items are left."""


class Slot:
    """What the scheduler knows of one worker. Its one timer means what its state says."""

    __slots__ = (
        "deadline", "exit_reason", "exit_step", "expiring", "failed", "handled", "id", "inflight",
        "load", "max_age", "max_requests", "place", "retiring", "since", "started_at", "state",
        "timer", "trial",
    )  # fmt: skip

    def __init__(self, number: int, now: float, policy: Policy, place: int = 0) -> None:
        self.id = number
        self.place = place
        """What users know as its slot: 0 to `max` - 1, and the same for its successor."""
        self.state = WorkerState.STARTING
        self.inflight: deque[Batch] = deque()
        self.load = 0
        """Items in `inflight`."""
        self.since = now
        """Since when it is idle, or has its current item."""
        self.started_at = now
        self.deadline: float | None = None
        self.timer: float | None = None
        """The earliest entry of this slot in the heap of timers."""
        self.handled = 0
        self.failed = 0
        self.trial = policy.trial
        """Items that it has one by one."""
        self.exit_reason: ExitReason | None = None
        """Why the pool ended it; None while it lives, or if it ended by itself."""
        self.retiring: ExitReason | None = None
        """Why it is to be stopped as soon as it has nothing to do."""
        self.expiring = False
        """True once it is to be recycled: its replacement may be started."""
        factor = policy.recycle_jitter()
        most = 1 if policy.single_use else _scaled(policy.recycle_requests, factor)
        self.max_requests = most
        self.max_age = None if policy.recycle_age is None else policy.recycle_age * factor
        self.exit_step = ExitStep.NONE
        """How far it is on its way out."""

    @property
    def takes_more(self) -> bool:
        """True if it may be given another item behind what it has."""
        return self.retiring is None and self.remaining != 0 and self.handled >= self.trial

    @property
    def costs_item(self) -> bool:
        """True if its first item fails with it, begun or not."""
        return self.exit_reason is not None and self.exit_reason.costs_item

    @property
    def remaining(self) -> int | None:
        """Items that it may still be given before it is recycled; None for no limit."""
        return None if self.max_requests is None else self.max_requests - self.handled - self.load

    def expires(self, now: float, *, early: bool = True) -> bool:
        """True if it should have a replacement by now: it is near its limit of items or age.

        Not `early`: only once it has reached its age, since nothing is given to it at its limit of
        items.
        """
        remaining = self.remaining
        if early and remaining is not None and self.max_requests is not None:
            used = self.max_requests - remaining
            if used and remaining <= self.max_requests // LEAD:
                return True
        return self.max_age is not None and now - self.started_at >= self.max_age


def _scaled(limit: int | None, factor: float) -> int | None:
    return None if limit is None else max(1, round(limit * factor))
