"""The scheduler's record of a worker."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from processpool.core.exit_reason import ExitReason
from processpool.core.states import ExitStep, WorkerState

if TYPE_CHECKING:
    from processpool.core.jobs import Batch
    from processpool.core.policy import Policy

REPLACEMENT_SHARE = 10
"""A replacement is started when one in this many of a worker's items is left before recycling."""


class Slot:
    """The scheduler's record of a worker. The meaning of its timer depends on its state."""

    __slots__ = (
        "asked", "cancelled", "deadline", "exact", "exit_reason", "exit_step", "expires_for",
        "expiring", "failed", "handled", "id", "inflight", "load", "max_age", "max_requests",
        "place", "retiring", "since", "started_at", "state", "timer", "trial",
    )  # fmt: skip

    def __init__(self, number: int, now: float, policy: Policy, place: int = 0) -> None:
        self.id = number
        self.place = place
        """Its place, which users know as its slot: 0 to `max` - 1; its replacement has the same."""
        self.state = WorkerState.STARTING
        self.exact = False
        """True if it says which item it has begun, and what it has not can be taken back."""
        self.inflight: deque[Batch] = deque()
        self.load = 0
        """The number of items in `inflight`."""
        self.asked: Batch | None = None
        """Its first batch, when it was asked for what it has not begun; None if it has got more."""
        self.since = now
        """When it became idle, or began its current item."""
        self.started_at = now
        self.deadline: float | None = None
        self.timer: float | None = None
        """The earliest entry of this slot in the heap of timers."""
        self.handled = 0
        self.failed = 0
        self.cancelled = 0
        """Items that were cancelled, and that it answered all the same; part of `handled`."""
        self.trial = policy.trial
        """Items that it has one by one."""
        self.exit_reason: ExitReason | None = None
        """Why the pool ended it; None while it is alive, or if it ended by itself."""
        self.retiring: ExitReason | None = None
        """Why it will be stopped as soon as it is idle; None if it will not."""
        self.expiring = False
        """True once it is to be recycled: its replacement may be started."""
        self.expires_for = ExitReason.RECYCLED
        """Why it is ended then."""
        factor = policy.recycle_jitter()
        most = 1 if policy.single_use else _scaled(policy.recycle_requests, factor)
        self.max_requests = most
        self.max_age = None if policy.recycle_age is None else policy.recycle_age * factor
        self.exit_step = ExitStep.NONE
        """Its step on the exit ladder."""

    @property
    def takes_more(self) -> bool:
        """True if it may be assigned further items."""
        return self.retiring is None and self.remaining != 0 and self.handled >= self.trial

    @property
    def costs_item(self) -> bool:
        """True if its exit fails its first item, whether that has begun or not."""
        return self.exit_reason is not None and self.exit_reason.costs_item

    @property
    def remaining(self) -> int | None:
        """The number of items it may still be assigned before it is recycled; None for no limit."""
        return None if self.max_requests is None else self.max_requests - self.handled - self.load

    def expires(self, now: float, *, early: bool = True) -> bool:
        """True if its replacement should be started: it is near its limit of items, or too old.

        If not `early`, only its age counts, since it is assigned no items beyond its limit anyway.
        """
        remaining = self.remaining
        if early and remaining is not None and self.max_requests is not None:
            used = self.max_requests - remaining
            if used and remaining <= self.max_requests // REPLACEMENT_SHARE:
                return True
        return self.max_age is not None and now - self.started_at >= self.max_age


def _scaled(limit: int | None, factor: float) -> int | None:
    return None if limit is None else max(1, round(limit * factor))
