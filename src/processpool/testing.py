"""For tests of code that uses a pool: pools that start no process.

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
    """Return a pool that does its work in this process, item after item, in order.

    Everything is done when `submit` returns, unless the pool is paused. Errors, records, events and
    snapshots are those of a real pool. A handler that raises `SystemExit`, as by `sys.exit(3)`,
    stands for a worker that dies. Arguments and results are not pickled.

    Args:
        handler: does the work, as a program with `serve`, or the handler of a Python pool, would.
            Without one the pool takes functions.
        config: the declaration of the pool that it stands for; by default that of a Python pool.

    Raises:
        TypeError: the declared pool must have a handler, or takes functions and must not.
    """
    if config is None:
        named = {} if handler is None else {"handler": "fake:handler"}
        config = pool_from_dict({"name": "fake", "worker": {"kind": "python", **named}})
    return ProcessPool(config, build=partial(build_fake, handler))
