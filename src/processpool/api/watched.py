"""Observation and control of a running pool: snapshots, events, traces; pause, resize, restart."""

from __future__ import annotations

from processpool.api.late import late
from processpool.api.leaves import leaf
from processpool.api.life import PoolLife

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection
    from typing import Any

    from processpool.api.names import secrets_of
    from processpool.api.reports import make_report
    from processpool.api.view import Picture, Recording, Report
    from processpool.core import events
    from processpool.core.failed_item import FailedItem
    from processpool.core.outcome import Outcome
    from processpool.core.run_record import RunRecord
    from processpool.core.snapshot import PoolSnapshot
    from processpool.core.states import PoolState

late(
    globals(),
    {
        "processpool.api.names": "secrets_of",
        "processpool.api.reports": "make_report",
        "processpool.core.states": "PoolState",
    },
)


class WatchedPool(PoolLife):
    """The part of a pool that implements `PoolView`."""

    # -- looking -----------------------------------------------------------------------------------

    @property
    def state(self) -> PoolState:
        """The state of the pool."""
        return self._engine.state

    @property
    def num_running(self) -> int:
        """The number of workers that have a request or are leased."""
        return self._engine.counts.running

    @property
    def num_unassigned(self) -> int:
        """The number of workers that wait for a request, including those still starting."""
        return self._engine.counts.unassigned

    def snapshot(self, *, resources: bool | Collection[int] = True) -> PoolSnapshot:
        """Return a snapshot of the pool.

        Args:
            resources: whether to read the CPU time and memory of all workers (True), of none
                (False), or of those with the given numbers; by far the most expensive part.
        """
        return self._engine.snapshot(self.name, resources=resources)

    def records(self) -> tuple[RunRecord, ...]:
        """Return how the last few maps have run, then how those run that are in progress.

        Every map is recorded, in bounded memory: which worker had which items and when, what
        failed, and where the time went.
        """
        return self._engine.maps.records()

    def failures(self) -> list[Outcome]:
        """Return the records of the last items that have failed, up to 1,000; the newest last.

        Each has the item's arguments, its error, and what it printed. Large arguments are kept of
        the last few only.
        """
        return [item.record for item in self._engine.maps.failures.items()]

    def failed_items(self, key: str | None = None) -> list[FailedItem]:
        """Return the last items that have failed: of the errors like this one, or all."""
        return self._engine.maps.failures.items(key)

    def events(
        self, callback: Callable[[events.Event], None], *, quick: bool = False, items: bool = True
    ) -> Callable[[], None]:
        """Call `callback` with every event from now on, mostly on a separate thread.

        The callback may block, and use the pool. If it returns quickly, its call for an item ends
        before the item's caller has the answer.

        Args:
            callback: a function of one event.
            quick: call it directly, on any thread; it must neither block nor use the pool.
            items: False if it does without `ItemsFinished`, the only event that comes with every
                item. While nobody wants it, it is not made.

        Returns:
            A function that unsubscribes the callback.
        """
        return self._engine.listen(callback, quick=quick, items=items)

    def trace(self, path: str | os.PathLike[str] | None = None) -> Recording:
        """Record events from now on, until the trace is stopped or the pool is closed.

        Args:
            path: a file for Perfetto (ui.perfetto.dev) or chrome://tracing, written continuously;
                None records in memory only, for `plot_timeline`.

        Raises:
            OSError: the file cannot be written.
        """
        trace: Recording = leaf("trace").Trace(self, path)
        self._trace = trace
        return trace

    def tracing(self, path: str | os.PathLike[str] | None = None) -> Recording:
        """Return a trace of a block: `with pool.tracing("run.json"): ...`."""
        return self.trace(path)

    def plot_timeline(self) -> Picture:
        """Return a figure: a lane for each slot, over time; point at items, drag to look closer.

        It shows the last trace. Without one, it shows what is recorded of the last few maps.

        Raises:
            ValueError: there is neither.
        """
        if self._trace is not None:
            return self._trace.plot()
        records = self.records()
        if not records:
            raise ValueError(
                "nothing was recorded, as no map has run: for single requests, call pool.trace() "
                "first, or bracket the work in `with pool.tracing():`"
            )
        picture: Picture = leaf("trace").plot_records(self.name, records, secrets_of(self.config))
        return picture

    def report(
        self, path: str | os.PathLike[str] | None = None, *, noun: str = "item", first: int = 0
    ) -> Report:
        """Return the report of the last map: what went wrong, where the time went, what to do.

        Args:
            path: a file to write it to: one page that needs neither script nor network.
            noun: what its items are called.
            first: the number of the first.

        Raises:
            OSError: the file cannot be written.
            ValueError: no map has run.
        """
        records = self.records()
        if not records:
            raise ValueError("there is nothing to report, as no map has run")
        secrets = secrets_of(self.config)
        report = make_report(records[-1], noun=noun, first=first, secrets=secrets)
        if path is not None:
            report.save(path)
        return report

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

    def _display_(self) -> Any:
        """Return what marimo shows."""
        return leaf("display").marimo_view(self)

    def _repr_html_(self) -> str:
        html: str = leaf("display").to_html(self)
        return html

    # -- steering ----------------------------------------------------------------------------------

    def pause(self) -> None:
        """Assign no more work: running items continue, and new ones wait in the queue."""
        self._engine.require_open()
        self._engine.steering.pause()

    def resume(self) -> None:
        """Assign work again."""
        self._engine.require_open()
        self._engine.steering.resume()

    def resize(
        self, *, min: int | None = None, max: int | None = None, spare: int | None = None
    ) -> None:
        """Change the sizes of the running pool that are not None.

        Raises:
            ValueError: the sizes contradict each other.
        """
        self._engine.require_open()
        self._engine.steering.resize(min, max, spare)

    def restart_worker(self, worker_id: int, *, wait: bool = False) -> None:
        """Replace a worker by a new one.

        Args:
            worker_id: its number, as in `snapshot().workers`.
            wait: let it finish its items first; otherwise it is killed, and its current item
                fails with `WorkerDied`.

        Raises:
            ValueError: the pool has no such worker.
        """
        self._engine.require_open()
        self._engine.steering.restart(worker_id, wait=wait)

    def restart_workers(self, *, wait: bool = True) -> None:
        """Replace all workers by new ones, and return when none of the old ones is left.

        One is replaced after another, as soon as its replacement is ready and it has finished its
        items, so that the pool goes on meanwhile and no item is lost.

        Args:
            wait: False kills all of them at once, and does not wait; what they were doing fails
                with `WorkerDied`.

        Raises:
            PoolClosed, PoolBroken: the pool takes no work any more.
        """
        self._engine.require_open()
        if wait:
            self._engine.require_calm()
        self._engine.steering.restart_all(wait=wait)

    def stop_map(self, map_id: int) -> None:
        """Stop a running map: its caller gets `CancelledError`, and its busy workers are replaced.

        Raises:
            ValueError: no map with this number is running; `snapshot().maps` lists those that are.
        """
        run = self._engine.maps.running.get(map_id)
        if run is None:
            known = ", ".join(map(str, self._engine.maps.running)) or "none"
            raise ValueError(f"there is no map {map_id} in progress; there are: {known}")
        run.stop()

    def reset(self) -> None:
        """Have a broken pool start workers again."""
        self._engine.steering.reset()
