"""`ProcessPool`, the class that users work with.

A pool checks arguments and passes them on to its engine; it has no thread, process or queue of its
own. Every public method may be called on any thread, and in a future's callback.

    PoolLife ◀── WatchedPool ◀── AskedPool ◀── MappedPool ◀── ProcessPool
"""

from __future__ import annotations

from functools import partial

from processpool.api.late import late
from processpool.api.leaves import leaf
from processpool.api.mapping import MappedPool
from processpool.system.interrupts import uninterrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor
    from types import EllipsisType
    from typing import Any, Self

    from processpool.api.call_forms import CallForm
    from processpool.api.intake import Intake
    from processpool.api.lease import Lease
    from processpool.api.seconds import bounded
    from processpool.api.shared import Shared
    from processpool.api.signatures import AsyncCall, AsyncMap, Call, LazyMap, Map, Submit
    from processpool.api.terms import Retry, terms_of
    from processpool.config import PoolConfig
    from processpool.core.outcome import Outcome
    from processpool.errors import PoolExhausted
    from processpool.factory import build_engine

late(
    globals(),
    {
        "processpool.api.call_forms": "CallForm",
        "processpool.api.intake": "Intake",
        "processpool.api.lease": "Lease",
        "processpool.api.seconds": "bounded",
        "processpool.api.terms": "terms_of",
        "processpool.errors": "PoolExhausted",
        "processpool.factory": "build_engine",
    },
)


class ProcessPool(MappedPool):
    """A pool of long-lived worker processes.

    Create one with `from_yaml`, `from_dict` or `from_config`, and use it in a `with` statement:

        with ProcessPool.from_yaml("configs/metrics.yaml") as pool:
            answers = pool.map(messages)
    """

    if TYPE_CHECKING:  # what these take, in the two forms that there are
        call: Call
        submit: Submit
        acall: AsyncCall
        map: Map  # type: ignore[assignment]
        imap: LazyMap  # type: ignore[assignment]
        imap_unordered: LazyMap  # type: ignore[assignment]
        aimap: AsyncMap  # type: ignore[assignment]

    @classmethod
    def from_yaml(
        cls,
        path: str | os.PathLike[str],
        pool: str | None = None,
        *,
        overrides: Mapping[str, object] | None = None,
        client: Any = None,
    ) -> Self:
        """Make a pool that a YAML file declares.

        Args:
            path: the file.
            pool: the name of a pool under `pools:`; not needed if the file declares only one.
            overrides: values of single keys, by dotted path: `{"size.max": 8}`.
            client: a `dask.distributed.Client`: the workers are on the nodes of its cluster.

        Raises:
            ConfigError: the file does not declare a valid pool; the message lists all problems.
        """
        from processpool.config import load_pool

        return cls.from_config(load_pool(path, pool=pool, overrides=overrides), client=client)

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, object],
        *,
        overrides: Mapping[str, object] | None = None,
        client: Any = None,
    ) -> Self:
        """Make a pool from a dictionary with the keys of the YAML file; `client` as `from_yaml`.

        Raises:
            ConfigError: the dictionary does not declare a valid pool.
        """
        from processpool.config import pool_from_dict

        return cls.from_config(pool_from_dict(data, overrides=overrides), client=client)

    @classmethod
    def from_config(cls, config: PoolConfig, *, client: Any = None) -> Self:
        """Make a pool from a validated declaration; `client` as `from_yaml`."""
        if client is None:
            return cls(config)
        return cls(config, build=partial(build_engine, client=client))

    def options(
        self,
        *,
        priority: int | EllipsisType = ...,
        timeout: float | str | EllipsisType | None = ...,
        name: str | EllipsisType | None = ...,
        retry: Retry | EllipsisType | None = ...,
    ) -> Self:
        """Return a view of this pool, with other options for the items that are handed in there.

            urgent = pool.options(priority=5, timeout="10s")
            urgent.submit(fn, x)

        It shares everything with the pool, and can do whatever the pool can.

        Args:
            priority: items with a higher one go first, also before what workers have not begun;
                those of equal priority take turns. 0 where none is given; may be negative.
            timeout: seconds that one item may take, instead of `timeouts.request`; or a duration
                such as "30s"; None for no limit.
            name: what the items are called in errors, records and displays.
            retry: how often an item is tried, the first attempt included; or a dictionary with the
                keys `attempts` and `on` of the YAML file.

        Raises:
            TypeError, ValueError: a value is none that it can be.
        """
        terms = terms_of(self._terms, self.config.retry, priority=priority, retry=retry, name=name)
        seconds = self._timeout if timeout is ... else bounded(timeout, "timeout")
        return self.on_terms(seconds, terms)

    def share(self, value: Any) -> Shared:
        """Copy a large object to memory that all workers read, without a copy for each item.

            with pool.share(table) as shared:
                pool.map(partial(look_up, shared), keys)

        This is worthwhile for NumPy arrays, other buffers, and objects that keep their data in
        such (DataFrames, Arrow tables). Items receive the object itself, read-only.

        Returns:
            The handle to pass to items. The memory is freed when its `with` or `close` ends it,
            when the pool is closed, or when the handle is garbage-collected.

        Raises:
            TypeError: the pool's workers are not Python workers.
            NotOnCluster: they are on other machines.
        """
        from processpool.api.shared import Shared

        if self.config.worker.kind != "python":
            raise TypeError("only workers of `kind: python` can read what is shared")
        self._engine.require_open()
        self._engine.require_shared_memory()
        shared = Shared(value, self._engine.unshare)
        self._shares.add(shared)
        return shared

    def executor(self, *, echo: bool = False) -> Executor:
        """Return a `concurrent.futures.Executor` over this open pool of functions.

        It is for asyncio's `run_in_executor`, Dask's `scheduler=`, and other code that takes
        executors. Its `shutdown` ends its own work, and leaves the pool open.

        Args:
            echo: print here what an item has printed, when it ends.

        Raises:
            TypeError: the pool runs a command, or has a handler.
        """
        self._engine.require_open()
        executor: Executor = leaf("executor").PoolExecutor(self, echo=echo)
        return executor

    def intake(self) -> Intake:
        """Return the interface through which executors submit calls.

        Raises:
            TypeError: the pool runs a command, or has a handler.
        """
        if not isinstance(self._form, CallForm):
            raise TypeError(
                "an executor needs a pool of functions: `kind: python`, without a handler"
            )
        return Intake(self._engine, self._form, self._timeout, self._terms)

    @uninterrupted
    def lease(self, timeout: float | str | None = None) -> Lease:
        """Lease a worker for exclusive use, until it is released.

        Args:
            timeout: the most seconds to wait for a worker if the pool has `size.max` workers and
                none is free; 0 does not wait; None waits without limit.

        Raises:
            PoolExhausted: no worker became free in time.
            PoolClosed, PoolBroken: the pool takes no work.
            NotOnCluster: the workers are on other machines.
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

    def debug(
        self, failed: Outcome | BaseException, function: Callable[..., Any] | None = None
    ) -> Any:
        """Run a failed item again, in this process, and stop in the debugger where it fails.

        Args:
            failed: the item's record, or its error.
            function: what to call; only needed if several functions of this name were used.

        Returns:
            Its value, if it does not fail this time.

        Raises:
            TypeError: the pool runs a command, or it is not clear which function it was.
            Exception: its error, once the debugger was left.
        """
        from processpool.api.debugging import debug

        return debug(
            self.config,
            self._form,
            failed,
            function,
            partial(ProcessPool, self.config, setup=self._setup),
        )

    def __reduce__(self) -> str:
        raise TypeError(
            "a pool cannot be pickled: it stays in the process that opened it; open another one in "
            "the worker, or leave it to the caller to use this one"
        )
