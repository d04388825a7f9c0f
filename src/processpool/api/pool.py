"""`ProcessPool`: what users hold in their hands.

The pool checks its arguments, says what is wrong with them, and hands them to the engine; it has no
thread, process or queue of its own. Every public method may be called from any thread, and
from a future's callback.

    PoolLife ◀── WatchedPool ◀── AskedPool ◀── ProcessPool
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.api.asking import AskedPool
from processpool.api.call_forms import CallForm
from processpool.api.intake import Intake
from processpool.api.lease import Lease
from processpool.api.leaves import leaf
from processpool.api.seconds import bounded
from processpool.errors import PoolExhausted
from processpool.system.interrupts import uninterrupted

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from concurrent.futures import Executor
    from typing import Self

    from processpool.api.shared import Shared
    from processpool.config import PoolConfig


class ProcessPool(AskedPool):
    """A pool of long-lived worker processes.

    Make one with `from_yaml`, `from_dict` or `from_config`, and use it in a `with`:

        with ProcessPool.from_yaml("configs/metrics.yaml") as pool:
            answers = pool.map(messages)
    """

    @classmethod
    def from_yaml(
        cls,
        path: str | os.PathLike[str],
        pool: str | None = None,
        *,
        overrides: Mapping[str, object] | None = None,
    ) -> Self:
        """Read a pool's declaration from a YAML file.

        Args:
            path: the file.
            pool: which of several pools under `pools:`; may be left out if there is one.
            overrides: other values for single keys, by dotted path: `{"size.max": 8}`.

        Raises:
            ConfigError: the file does not declare a valid pool; it lists everything that is wrong.
        """
        from processpool.config import load_pool

        return cls(load_pool(path, pool=pool, overrides=overrides))

    @classmethod
    def from_dict(
        cls, data: Mapping[str, object], *, overrides: Mapping[str, object] | None = None
    ) -> Self:
        """Take a pool's declaration from a dictionary with the keys of the YAML file.

        Raises:
            ConfigError: it does not declare a valid pool.
        """
        from processpool.config import pool_from_dict

        return cls(pool_from_dict(data, overrides=overrides))

    @classmethod
    def from_config(cls, config: PoolConfig) -> Self:
        """Take a validated declaration."""
        return cls(config)

    def share(self, value: Any) -> Shared:
        """Put something large where all workers read it, without a copy for each item.

            with pool.share(table) as shared:
                pool.map(partial(look_up, shared), keys)

        Whatever is a NumPy array, has the buffer protocol, or keeps its data in such (a DataFrame,
        an Arrow table). In the items the handle arrives as the object itself, read-only.

        Returns:
            The handle; leaving its `with`, its `close`, closing the pool, or dropping it frees
            the memory.

        Raises:
            TypeError: the workers of this pool run no Python functions.
        """
        from processpool.api.shared import Shared

        if self.config.worker.kind != "python":
            raise TypeError("only workers of `kind: python` can read what is shared")
        self._engine.require_open()
        shared = Shared(value, self._engine.unshare)
        self._shares.add(shared)
        return shared

    def executor(self) -> Executor:
        """A strict `concurrent.futures.Executor` over this open pool of functions.

        asyncio's `run_in_executor`, Dask's `scheduler=`, and code written for executors take it.
        Its `shutdown` ends its own work, and leaves the pool open.

        Raises:
            TypeError: the pool runs a command, or has a handler.
        """
        self._engine.require_open()
        executor: Executor = leaf("executor").PoolExecutor(self)
        return executor

    def intake(self) -> Intake:
        """Return where executors hand in their calls.

        Raises:
            TypeError: the pool runs a command, or has a handler.
        """
        if not isinstance(self._form, CallForm):
            raise TypeError(
                "an executor needs a pool of functions: `kind: python`, without a handler"
            )
        return Intake(self._engine, self._form, self._timeout)

    @uninterrupted
    def lease(self, timeout: float | str | None = None) -> Lease:
        """Lease a worker to drive by hand, until it is released.

        Args:
            timeout: seconds to wait for one while the pool has `size.max` workers and none is
                free; 0 does not wait; None waits as long as it takes.

        Raises:
            PoolExhausted: none became free in time.
            PoolClosed, PoolBroken: the pool has none to give.
        """
        self._engine.require_open()
        seconds = bounded(timeout, "timeout")
        worker = self._engine.lease(seconds)
        if worker is None:
            size = self._engine.policy.max
            raise PoolExhausted(
                f"no worker of pool {self.name!r} came free within {seconds:g} s, and it has "
                f"size.max ({size}) workers; release a lease, wait longer, or raise size.max"
            )
        return Lease(worker, self._form, self.config.timeouts.exit)

    def __reduce__(self) -> str:
        raise TypeError(
            "a pool cannot be pickled: it stays in the process that opened it; open another one in "
            "the worker, or leave it to the caller to use this one"
        )
