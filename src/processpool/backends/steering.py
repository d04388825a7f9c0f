"""The controls of a pool on a cluster: pausing is here, sizes and restarts are for the nodes."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from processpool.core import events
from processpool.core.policy import resized
from processpool.core.states import PoolEvent, PoolState

if TYPE_CHECKING:
    from processpool.backends.work import Work
    from processpool.core.policy import Policy
    from processpool.engine.event_hub import EventHub


class Steered(Protocol):
    """What the controls need of a `DaskBackend`."""

    each: Policy

    def tell(self, what: str, *arguments: Any, node: str = "") -> None:
        """Tell one node something, or all."""

    def go_on(self) -> None:
        """Send what can be sent."""


class ClusterSteering:
    """The controls of a `DaskBackend`."""

    def __init__(self, backend: Steered, work: Work, hub: EventHub) -> None:
        self._backend = backend
        self._work = work
        self._hub = hub

    def pause(self) -> None:
        """Send nothing until `resume`."""
        if self._work.state is PoolState.OPEN:
            self._work.change(PoolEvent.PAUSED)
            self._hub.publish(events.PoolPaused(monotonic()))

    def resume(self) -> None:
        """Send again."""
        if self._work.state is PoolState.PAUSED:
            self._work.change(PoolEvent.RESUMED)
            self._hub.publish(events.PoolResumed(monotonic()))
            self._backend.go_on()

    def resize(self, least: int | None, most: int | None, spare: int | None) -> None:
        """Change the sizes of each node's pool that are not None.

        Raises:
            ValueError: the sizes contradict each other.
        """
        work = self._work
        with work.lock:
            policy = resized(self._backend.each, least, most, spare)
            self._backend.each = policy
            for node in work.nodes.ready.values():
                node.workers = policy.max if most is not None else node.workers
            work.lock.notify_all()
        self._backend.tell("resize", least, most, spare)
        self._hub.publish(events.PoolResized(monotonic(), policy.min, policy.max, policy.spare))
        self._backend.go_on()

    def restart(self, number: int, *, wait: bool) -> None:
        """Replace a worker, on its node.

        Raises:
            ValueError: there is no worker with this number.
        """
        with self._work.lock:
            found = self._work.nodes.found_by(number)
            known = [worker.id for worker in self._work.nodes.snapshots(monotonic())]
        if found is None:
            there = ", ".join(map(str, known)) or "none"
            raise ValueError(f"there is no worker {number}; there are: {there}")
        node, local = found
        self._backend.tell("restart", node.life, local, wait, node=node.address)

    def restart_all(self, *, wait: bool) -> None:
        """Have every node replace its workers; this does not wait until they have."""
        self._backend.tell("restart_all", wait)

    def reset(self) -> None:
        """Have a broken pool take work again, and its nodes start workers."""
        if self._work.state is PoolState.BROKEN:
            self._backend.tell("reset")
            self._work.change(PoolEvent.MENDED)
