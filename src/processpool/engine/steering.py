"""The controls of a running pool: pausing, sizes, and replacement of workers."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core import events
from processpool.core.exit_reason import ExitReason
from processpool.core.policy import resized
from processpool.core.snapshot import WorkerCounts
from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from processpool.engine.checkout import Checkout
    from processpool.engine.core import Core
    from processpool.engine.event_hub import EventHub


class Steering:
    """The controls of an engine."""

    def __init__(self, core: Core, checkout: Checkout, hub: EventHub) -> None:
        self._core = core
        self._checkout = checkout
        self._hub = hub

    def pause(self) -> None:
        """Assign no work until `resume`."""
        self._core.decide(lambda _: self._core.scheduler.pause())
        self._checkout.reclaim()
        self._hub.publish(events.PoolPaused(monotonic()))

    def resume(self) -> None:
        """Assign work again."""
        self._core.decide(self._core.scheduler.resume)
        self._hub.publish(events.PoolResumed(monotonic()))

    def reset(self) -> None:
        """Have a broken pool start workers again."""
        self._core.start_error = None
        self._core.forgiven = monotonic()
        self._core.decide(self._core.scheduler.reset)

    def resize(self, least: int | None, most: int | None, spare: int | None) -> None:
        """Change the sizes that are not None.

        Raises:
            ValueError: the sizes contradict each other.
        """
        policy = resized(self._core.scheduler.policy, least, most, spare)
        self._checkout.reclaim()
        self._core.decide(lambda now: self._core.scheduler.resize(policy, now))
        self._hub.publish(events.PoolResized(monotonic(), policy.min, policy.max, policy.spare))

    def restart(self, number: int, *, wait: bool) -> None:
        """Replace a worker; with `wait`, only after it has finished its items.

        Raises:
            ValueError: there is no worker with this number.
        """
        scheduler = self._core.scheduler
        self._checkout.reclaim()
        if number not in scheduler.slots:
            known = ", ".join(map(str, scheduler.slots)) or "none"
            raise ValueError(f"there is no worker {number}; there are: {known}")
        if wait:
            self._core.decide(lambda now: scheduler.retire(number, ExitReason.RESTARTED, now))
        else:
            self._core.decide(lambda now: scheduler.kill(number, ExitReason.RESTARTED, now))

    def restart_all(self, *, wait: bool) -> None:
        """Replace every worker; with `wait`, one after another, when it has finished its items.

        Raises:
            PoolClosed, PoolBroken: the pool takes no work any more.
        """
        core, scheduler = self._core, self._core.scheduler
        for number in list(scheduler.slots):
            if wait:
                core.decide(partial(scheduler.replace, number))
                self._checkout.reclaim()
                core.lock.wait_for(partial(self._is_gone, number))
            else:
                self._checkout.reclaim()
                core.decide(partial(scheduler.kill, number, ExitReason.RESTARTED))

    def _is_gone(self, number: int) -> bool:
        error = self._core.state_error()
        if error is not None:
            raise error
        return number not in self._core.scheduler.slots

    def renew(self) -> None:
        """Replace every worker, each after it has finished its items."""
        self._checkout.reclaim()
        for number in list(self._core.scheduler.slots):
            self._core.decide(partial(self._core.scheduler.retire, number, ExitReason.RENEWED))

    @property
    def counts(self) -> WorkerCounts:
        """The numbers of workers by what they do; those kept warm for calls are unassigned."""
        with self._core.lock:
            counts, warm = self._core.scheduler.counts, len(self._checkout.warm)
            return WorkerCounts(
                running=counts[WorkerState.BUSY] + counts[WorkerState.LEASED] - warm,
                unassigned=counts[WorkerState.STARTING] + counts[WorkerState.IDLE] + warm,
                starting=self._core.scheduler.starting,
            )
