"""`ProcessPool`: what users hold in their hands.

The pool checks what it is given, says what is wrong with it, and hands it to the engine; it has no
thread, no process and no queue of its own. Every public method may be called from any thread, and
from a future's callback.
"""

from __future__ import annotations

import logging
import weakref
from contextlib import ExitStack, contextmanager
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.call_forms import CallForm, make_form
from processpool.api.futures import PoolFuture
from processpool.api.intake import Intake
from processpool.api.lease import Lease
from processpool.api.leaves import leaf
from processpool.api.maps import EagerMap, LazyMap, MapOptions
from processpool.core.jobs import Batch
from processpool.core.states import PoolState
from processpool.engine.backend import NotBegun
from processpool.errors import PoolExhausted, ProcessPoolError
from processpool.factory import build_engine
from processpool.system.interrupts import SHIELD, uninterrupted

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
    from concurrent.futures import Executor
    from types import EllipsisType, TracebackType
    from typing import Self

    from processpool.api.map_job import OnError
    from processpool.api.shared import Shared
    from processpool.api.view import Picture, Recording, Viewer
    from processpool.config import PoolConfig
    from processpool.core import events
    from processpool.core.snapshot import PoolSnapshot
    from processpool.factory import Build
    from processpool.wire.python.functions import Request


log = logging.getLogger("processpool")

FOREVER = 1e9
"""Seconds: more of them are taken for as many."""


class ProcessPool:
    """A pool of long-lived worker processes.

    Make one with `from_yaml`, `from_dict` or `from_config`, and use it in a `with`:

        with ProcessPool.from_yaml("configs/metrics.yaml") as pool:
            answers = pool.map(messages)
    """

    def __init__(
        self,
        config: PoolConfig,
        *,
        setup: Callable[[], object] | None = None,
        build: Build = build_engine,
    ) -> None:
        """Prepare a pool; no process runs before `with`, or `open()`.

        Args:
            config: its declaration.
            setup: of a Python pool: called once in each worker before its first item, instead of
                what `worker.setup` names.
            build: makes the engine; `processpool.testing` has one without processes.
        """
        self.config = config
        self._engine, parts = build(config, setup)
        self._form = make_form(parts)
        self._timeout = config.timeouts.request
        self._retries = config.retry.attempts > 1
        self._viewers: list[Viewer] = []
        self._shares: weakref.WeakSet[Shared] = weakref.WeakSet()
        self._trace: Recording | None = None

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
            ConfigError: the file does not declare a valid pool; all that is wrong is said at once.
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

    # -- opening and closing ---------------------------------------------------------------------

    def open(self) -> Self:
        """Start the pool; returns as soon as one worker is ready, the others start meanwhile.

        Raises:
            WorkerStartFailed: no worker could be started; it says why.
            PoolClosed: the pool was closed before.
        """
        engine = self._engine
        if engine.state is not PoolState.NEW:
            engine.require_open()
            return self
        finalizer = weakref.finalize(self, engine.close, None, wait=False)
        finalizer.atexit = False
        engine.open(min(1, self.config.size.min), self.config.timeouts.exit)
        return self

    def close(self, grace: float | str | EllipsisType | None = ...) -> None:
        """Take nothing more, finish what was submitted, end every worker, and wait for it.

        Args:
            grace: seconds that submitted work may still take, `timeouts.exit` if not given; what
                is not done by then fails with `PoolClosed`. None waits as long as it takes.
        """
        seconds = self.config.timeouts.exit if grace is ... else _bounded(grace, "grace")
        if SHIELD.is_up:  # a signal's handler, in the middle of something that must end first
            self._engine.close(seconds, wait=False)
        else:
            self._close(seconds)

    @uninterrupted
    def _close(self, grace: float | None) -> None:
        with self._showing_the_end():
            self._engine.close(grace)
        self._free_shares()

    def kill(self) -> None:
        """End every worker at once; what they had, and what waits, fails with `PoolClosed`."""
        if SHIELD.is_up:
            self._engine.kill(wait=False)
            return
        with self._showing_the_end():
            self._engine.kill()
        self._free_shares()

    def __enter__(self) -> Self:
        return self.open()

    @uninterrupted
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.drain()
        except BaseException:  # interrupted
            self._close(0)
            raise
        self._close(0 if kind else self.config.timeouts.exit)

    # -- work ------------------------------------------------------------------------------------

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        """Send one request and wait for its answer, on this thread: the fastest path.

        Raises:
            WorkerDied: the worker ended while it had the request.
            RequestTimeout: it took longer than `timeouts.request`.
            ProtocolError: the message cannot be sent, or the answer is none.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        request = self._form.single("call", args, kwargs)
        if not self._retries:
            try:
                return self._engine.exchange(request, self._timeout)
            except NotBegun:
                pass  # no worker is free, or it had ended: the request gets in line
        self._engine.require_open()
        future = self._submit(request)
        try:
            return future.result()
        except Exception:
            raise
        except BaseException:  # interrupted: it runs for nobody
            future.kill()
            raise

    def submit(self, /, *args: Any, **kwargs: Any) -> PoolFuture:
        """Send one request; its answer comes with the future.

        Raises:
            QueueFull: the queue is full, and the pool declares `queue.when_full: raise`.
            PoolClosed, PoolBroken: the pool takes no work.
        """
        try:
            request = self._form.single("submit", args, kwargs)
        except ProcessPoolError as error:
            self._engine.require_open()
            future = PoolFuture(self._engine, None)
            future._job.refuse(error)
            return future
        self._engine.require_open()
        return self._submit(request)

    def _submit(self, request: Request) -> PoolFuture:
        payload, task = request
        future = PoolFuture(self._engine, self._timeout, task)
        batch = Batch(future._job, 0, (payload,), monotonic())
        try:
            self._engine.submit(batch, wait=self.config.queue.when_full == "wait")
        except Exception:
            raise
        except BaseException:  # interrupted: nobody will know of it
            future.kill()
            raise
        return future

    def map(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        progress: bool | str = False,
        details: bool = False,
        echo: bool = False,
        chunksize: int | None = None,
    ) -> list[Any]:
        """Send many requests, and wait for all answers.

        Args:
            *args: the messages, as one iterable.
            timeout: seconds that one item may take, instead of `timeouts.request`; or a duration
                such as "30s".
            on_error: `raise` stops the map at the first error; `return` puts the error in the
                item's place; `skip` leaves the item out.
            progress: show a progress bar, unless the pool's widget is on show, which has one
                for every map; a string is its label.
            details: `Outcome` records instead of values.
            echo: show here, line by line, what the items print while they run; of a command what
                it wrote to stderr, when it has answered.
            chunksize: accepted, and of no effect: fast items travel together by themselves.

        Returns:
            The answers, in the order of the items.
        """
        _note_chunks(chunksize)
        options = MapOptions(self._seconds(timeout), on_error, progress, details, echo=echo)
        items = self._form.many("map", args)
        self._engine.require_open()
        run = EagerMap(self._engine, items, options)
        try:
            return run.collect(bar=not self._is_on_show)
        except Exception:
            raise
        except BaseException:  # interrupted
            run.abort()
            raise

    def imap(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        progress: bool | str = False,
        details: bool = False,
        buffersize: int | None = None,
        echo: bool = False,
        chunksize: int | None = None,
    ) -> Iterator[Any]:
        """Like `map`, lazily: answers in order, as they come; the input may be endless.

        Args:
            *args: the messages, as one iterable.
            timeout: as in `map`.
            on_error: as in `map`.
            progress: as in `map`.
            details: as in `map`.
            buffersize: items read from the input beyond what was yielded; if not given, as many
                as keep the workers busy.
            echo: as in `map`; it is shown when the next answer is asked for.
            chunksize: as in `map`.
        """
        _note_chunks(chunksize)
        seconds = self._seconds(timeout)
        options = MapOptions(seconds, on_error, progress, details, buffersize, echo=echo)
        return self._lazy_map("imap", args, options)

    def imap_unordered(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        progress: bool | str = False,
        details: bool = False,
        buffersize: int | None = None,
        echo: bool = False,
        chunksize: int | None = None,
    ) -> Iterator[Any]:
        """Like `imap`, but each answer as soon as it is there, in any order."""
        _note_chunks(chunksize)
        seconds = self._seconds(timeout)
        options = MapOptions(
            seconds, on_error, progress, details, buffersize, ordered=False, echo=echo
        )
        return self._lazy_map("imap_unordered", args, options)

    def _lazy_map(self, method: str, args: tuple[Any, ...], options: MapOptions) -> Iterator[Any]:
        items = self._form.many(method, args)
        self._engine.require_open()
        return LazyMap(self._engine, items, options).results(bar=not self._is_on_show)

    @property
    def _is_on_show(self) -> bool:
        return any(viewer.live for viewer in self._viewers)

    async def acall(self, /, *args: Any, **kwargs: Any) -> Any:
        """As `call`, under asyncio: awaits the answer, and never blocks the event loop.

        When the awaiting task is cancelled, the item is too; if it runs, its worker is replaced.
        """
        from processpool.api.async_maps import acall

        request = self._form.single("acall", args, kwargs)
        self._engine.require_open()
        wait = self.config.queue.when_full == "wait"
        return await acall(self._engine, request, self._timeout, wait=wait)

    def aimap(
        self,
        *args: Any,
        timeout: float | str | EllipsisType | None = ...,
        on_error: OnError = "raise",
        details: bool = False,
        buffersize: int | None = None,
    ) -> AsyncIterator[Any]:
        """As `imap`, under asyncio: `async for answer in pool.aimap(...)`, in order.

        The input may be endless, and may be asynchronous iterables. Leaving the loop early stops
        what has not started; cancelling the task ends what runs as well.

        Args:
            *args: as of `imap`.
            timeout: as in `map`.
            on_error: as in `map`.
            details: as in `map`.
            buffersize: as in `imap`.
        """
        from processpool.api.async_maps import aimap

        seconds = self._seconds(timeout)
        options = MapOptions(seconds, on_error, details=details, buffersize=buffersize)
        self._engine.require_open()
        return aimap(self._engine, self._form, args, options)

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
        """A worker of your own, driven by hand, until it is released.

        Args:
            timeout: seconds to wait for one while the pool has `size.max` workers and none is
                free; 0 does not wait; None waits as long as it takes.

        Raises:
            PoolExhausted: none came free in time.
            PoolClosed, PoolBroken: the pool gives none.
        """
        self._engine.require_open()
        seconds = _bounded(timeout, "timeout")
        worker = self._engine.lease(seconds)
        if worker is None:
            size = self._engine.policy.max
            raise PoolExhausted(
                f"no worker of pool {self.name!r} came free within {seconds:g} s, and it has "
                f"size.max ({size}) workers; release a lease, wait longer, or raise size.max"
            )
        return Lease(worker, self._form, self.config.timeouts.exit)

    # -- steering --------------------------------------------------------------------------------

    def wait_ready(self, timeout: float | str | None = None) -> bool:
        """Wait until `size.min` workers are ready.

        Returns:
            False if they are not after `timeout` seconds.

        Raises:
            WorkerStartFailed: none could be started.
        """
        self._engine.require_open()
        seconds = _bounded(timeout, "timeout")
        return self._engine.wait_ready(self._engine.policy.min, seconds)

    def drain(self, timeout: float | str | None = None) -> bool:
        """Wait until everything that was submitted has ended; False after `timeout` seconds."""
        return self._engine.drain(_bounded(timeout, "timeout"))

    def pause(self) -> None:
        """Hand out no more work; what runs goes on, and new work waits in the queue."""
        self._engine.require_open()
        self._engine.steering.pause()

    def resume(self) -> None:
        """Hand out work again."""
        self._engine.require_open()
        self._engine.steering.resume()

    def resize(
        self, *, min: int | None = None, max: int | None = None, spare: int | None = None
    ) -> None:
        """Change the sizes of the running pool; what is not given stays.

        Raises:
            ValueError: the sizes contradict each other.
        """
        self._engine.require_open()
        self._engine.steering.resize(min, max, spare)

    def restart_worker(self, worker_id: int, *, wait: bool = False) -> None:
        """Replace a worker by a new one.

        Args:
            worker_id: its number, as in `snapshot().workers`.
            wait: let it finish what it has; otherwise it is killed, and the item that it has
                fails with `WorkerDied`.

        Raises:
            ValueError: the pool has no such worker.
        """
        self._engine.require_open()
        self._engine.steering.restart(worker_id, wait=wait)

    def stop_map(self, map_id: int) -> None:
        """End a map in progress: its caller gets `CancelledError`, its busy workers are replaced.

        Raises:
            ValueError: no such map is in progress; `snapshot().maps` has those that are.
        """
        run = self._engine.maps.running.get(map_id)
        if run is None:
            known = ", ".join(map(str, self._engine.maps.running)) or "none"
            raise ValueError(f"there is no map {map_id} in progress; there are: {known}")
        run.stop()

    def reset(self) -> None:
        """Have a broken pool try again to start workers."""
        self._engine.steering.reset()

    # -- looking ---------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The pool's name."""
        return self.config.name

    @property
    def state(self) -> PoolState:
        """Where the pool is in its life."""
        return self._engine.state

    @property
    def num_running(self) -> int:
        """Workers that have a request, or are leased."""
        return self._engine.counts.running

    @property
    def num_unassigned(self) -> int:
        """Workers that wait for a request, those that are still starting included."""
        return self._engine.counts.unassigned

    def snapshot(self, *, resources: bool | Collection[int] = True) -> PoolSnapshot:
        """The pool at this moment.

        Args:
            resources: whether to look at the CPU time and memory of all workers, of none, or of
                those with these numbers; it is by far the dearest part.
        """
        return self._engine.snapshot(self.name, resources=resources)

    def events(
        self, callback: Callable[[events.Event], None], *, quick: bool = False
    ) -> Callable[[], None]:
        """Call `callback` with everything that happens from now on, mostly on a thread of its own.

        It may wait, and use the pool. If it returns at once, it has heard of an item before the
        item's caller has the answer.

        Args:
            callback: what to call.
            quick: call it at once, on whatever thread it is; it must neither wait nor use the pool.

        Returns:
            A function that ends the subscription.
        """
        return self._engine.listen(callback, quick=quick)

    def attach(self, viewer: Viewer) -> None:
        """Tell `viewer` when the pool is closed, and draw no progress bars while it is live."""
        self._viewers.append(viewer)

    def trace(self, path: str | os.PathLike[str] | None = None) -> Recording:
        """Record what happens from now on, until the pool is closed, or the trace stopped.

        Args:
            path: a file for Perfetto (ui.perfetto.dev) or chrome://tracing, written as it goes;
                None records in memory only, for `plot_timeline`.

        Raises:
            OSError: the file cannot be written.
        """
        trace: Recording = leaf("trace").Trace(self, path)
        self._trace = trace
        return trace

    def tracing(self, path: str | os.PathLike[str] | None = None) -> Recording:
        """The same for a block: `with pool.tracing("run.json"): ...`."""
        return self.trace(path)

    def plot_timeline(self) -> Picture:
        """A figure of what the last trace has recorded: who did what, and when.

        Raises:
            ValueError: there is no trace.
        """
        if self._trace is None:
            raise ValueError(
                "nothing was recorded: call pool.trace() first, or bracket the work in "
                "`with pool.tracing():`"
            )
        return self._trace.plot()

    def __reduce__(self) -> str:
        raise TypeError(
            "a pool cannot be pickled: it stays in the process that opened it; open another one in "
            "the worker, or leave it to the caller to use this one"
        )

    def __repr__(self) -> str:
        now = self.snapshot(resources=False)
        workers = f"{len(now.workers)} workers" if now.workers else "no workers"
        if now.state in (PoolState.NEW, PoolState.CLOSED, PoolState.FORKED):
            return f"<ProcessPool {self.name!r}, {now.state}; {now.finished} done>"
        return (
            f"<ProcessPool {self.name!r}, {now.state}: {workers} ({self.num_running} running), "
            f"{now.queued} queued, {now.finished} done, {now.failed} failed>"
        )

    def _ipython_display_(self) -> None:
        leaf("display").show(self)

    def _repr_html_(self) -> str:
        html: str = leaf("display").to_html(self)
        return html

    @contextmanager
    def _showing_the_end(self) -> Iterator[None]:
        with ExitStack() as ends:
            for viewer in self._viewers:
                ends.enter_context(viewer.closing())
            yield

    def _free_shares(self) -> None:
        for shared in list(self._shares):
            shared.close()

    def _seconds(self, timeout: float | str | EllipsisType | None) -> float | None:
        """What `timeout=` of a map means."""
        return self.config.timeouts.request if timeout is ... else _bounded(timeout, "timeout")


@cache
def _tell_of_chunks() -> None:
    log.info("chunksize has no effect: fast items travel together by themselves")


def _note_chunks(chunksize: int | None) -> None:
    """Whoever comes from another pool may be used to give it."""
    if chunksize is not None:
        _tell_of_chunks()


def _bounded(seconds: Any, what: str) -> float | None:
    """So many seconds, or as many as a clock can count; None for as long as it takes.

    Raises:
        ValueError: it is neither a number of seconds nor a duration as the YAML has it.
    """
    if isinstance(seconds, str):
        from processpool.config.units import parse_duration

        try:
            return min(parse_duration(seconds), FOREVER)
        except ValueError as error:
            raise ValueError(f"{what} {error}, or None; got {seconds!r}") from None
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is None or (number and seconds >= 0):
        return None if seconds is None else min(seconds, FOREVER)
    raise ValueError(
        f"{what} must be a number of seconds, a duration such as '30s', or None, got {seconds!r}"
    )
