"""What can be seen and steered of a running pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.api.leaves import leaf
from processpool.api.life import PoolLife
from processpool.core.states import PoolState

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection

    from processpool.api.view import Picture, Recording
    from processpool.core import events
    from processpool.core.snapshot import PoolSnapshot


class WatchedPool(PoolLife):
    """A pool that can be seen, recorded, and steered; what a `PoolView` is."""

    # -- looking -----------------------------------------------------------------------------------

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
        """Workers that wait for a request, including those that are still starting."""
        return self._engine.counts.unassigned

    def snapshot(self, *, resources: bool | Collection[int] = True) -> PoolSnapshot:
        """Return the pool at this moment.

        Args:
            resources: whether to look at the CPU time and memory of all workers, of none, or of
                those with these numbers; this is by far the most expensive part.
        """
        return self._engine.snapshot(self.name, resources=resources)

    def events(
        self, callback: Callable[[events.Event], None], *, quick: bool = False
    ) -> Callable[[], None]:
        """Call `callback` with everything that happens from now on, mostly on a thread of its own.

        It may wait, and use the pool. If it returns at once, it has been called for an item before
        the item's caller has the answer.

        Args:
            callback: what to call.
            quick: call it at once, on any thread; it must neither wait nor use the pool.

        Returns:
            A function that ends the subscription.
        """
        return self._engine.listen(callback, quick=quick)

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
        """Like `trace`, for a block: `with pool.tracing("run.json"): ...`."""
        return self.trace(path)

    def plot_timeline(self) -> Picture:
        """Return a figure of what the last trace has recorded: which worker did what, and when.

        Raises:
            ValueError: there is no trace.
        """
        if self._trace is None:
            raise ValueError(
                "nothing was recorded: call pool.trace() first, or bracket the work in "
                "`with pool.tracing():`"
            )
        return self._trace.plot()

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

    # -- steering ----------------------------------------------------------------------------------

    def pause(self) -> None:
        """Hand out no more work: running items go on, and new work waits in the queue."""
        self._engine.require_open()
        self._engine.steering.pause()

    def resume(self) -> None:
        """Hand out work again."""
        self._engine.require_open()
        self._engine.steering.resume()

    def resize(
        self, *, min: int | None = None, max: int | None = None, spare: int | None = None
    ) -> None:
        """Change the sizes of the running pool; those not given stay as they are.

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
