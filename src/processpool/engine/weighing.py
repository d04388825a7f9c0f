"""Recycling of workers that use too much memory, which is checked after answers, not too often."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from processpool.system.memory import tree_memory

if TYPE_CHECKING:
    from processpool.engine.core import Core
    from processpool.engine.workers.worker import Worker

WEIGH_EVERY = 1.0
"""The fewest seconds between two checks of a worker."""


def weigh(core: Core, worker: Worker) -> None:
    """Replace the worker if its memory exceeds the limit."""
    limit, now = core.scheduler.policy.recycle_memory, monotonic()
    if limit is None or now - worker.weighed_at < WEIGH_EVERY:
        return
    worker.weighed_at = now
    if tree_memory(worker.pid) > limit:
        core.decide(lambda now: core.scheduler.expire(worker.id, now))
