"""The pool that an executor or a `Pool` makes for itself, with what the standard library promises.

There is no limit on the queue or on the time that an initializer takes, and idle workers stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.system.cpus import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.api.pool import ProcessPool

NEVER = 7 * 86400.0
"""The start timeout, which includes the initializer; the standard library has no limit on it."""
UNLIMITED = (1 << 31) - 1
"""The most items in the queue: the largest value that the configuration accepts."""


def make_pool(
    name: str,
    size: int,
    setup: Callable[[], object] | None,
    tasks_per_child: int | None,
    *,
    least: int = 0,
) -> ProcessPool:
    """Return a pool of functions that is not open yet.

    Args:
        name: its name in logs.
        size: the most workers.
        setup: called once in each worker; if it fails, the pool is broken.
        tasks_per_child: the number of items after which a worker is replaced.
        least: the workers that start with it.
    """
    from processpool.api.pool import ProcessPool
    from processpool.config import pool_from_dict

    sections: dict[str, Any] = {
        "name": name,
        "worker": {"kind": "python", "threads": max(1, usable_cpus() // size)},
        "size": {"min": least, "max": size, "spare": size},
        "queue": {"max_pending": UNLIMITED},
        "timeouts": {"start": NEVER, "idle": None},
    }
    if tasks_per_child is not None:
        sections["recycle"] = {"after_requests": tasks_per_child, "jitter": 0}
    if setup is not None:
        sections["restart"] = {"max_failures": 0}
    return ProcessPool(pool_from_dict(sections), setup=setup)
