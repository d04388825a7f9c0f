"""Fake pools, which start no processes, for tests of code that uses a pool.

A fake pool is used like a real one:

    from processpool.testing import fake_pool

    with fake_pool(str.upper) as pool:
        assert pool.map(["a", "b"]) == ["A", "B"]
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from processpool import ProcessPool
from processpool.config import pool_from_dict
from processpool.factory import build_fake

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.config import PoolConfig


def fake_pool(
    handler: Callable[..., Any] | None = None, config: PoolConfig | None = None
) -> ProcessPool:
    """Return a pool that runs its items in this process, one after another, in order.

    An item has run when `submit` returns, unless the pool is paused. Errors, records, events and
    snapshots are those of a real pool. A handler that raises `SystemExit`, for example by
    `sys.exit(3)`, simulates a worker that dies. Arguments and results are not pickled.

    Args:
        handler: does the work of a program under `serve`, or of a Python pool's handler. Without
            one, the pool takes functions.
        config: the declaration of the pool to imitate; by default a Python pool.

    Raises:
        TypeError: the declared pool needs a handler, or it takes functions and must not have one.
    """
    if config is None:
        named = {} if handler is None else {"handler": "fake:handler"}
        config = pool_from_dict({"name": "fake", "worker": {"kind": "python", **named}})
    return ProcessPool(config, build=partial(build_fake, handler))
