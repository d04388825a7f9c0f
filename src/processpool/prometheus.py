"""What pools count, for Prometheus: `pip install 'processpool[prometheus]'`.

    from prometheus_client import REGISTRY, start_http_server
    from processpool.prometheus import PoolCollector

    REGISTRY.register(PoolCollector(pool))
    start_http_server(9000)

Nothing is measured for it: at each scrape, a snapshot of each pool is taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING
from weakref import ref

try:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError(
        f"{error}: the collector needs prometheus-client; install it with "
        "pip install 'processpool[prometheus]'"
    ) from error

from processpool.core.exit_counts import ExitCounts
from processpool.core.log_bins import FEW_BOUNDS
from processpool.core.states import WorkerState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from processpool.api.view import Followed, PoolView

__all__ = ["PoolCollector"]

MOST_LEFT = 100
"""Maps that were left early and are still to be counted, at most."""


class PoolCollector(Collector):
    """Collects the counts of any number of pools, each with its name as the label `pool`."""

    def __init__(self, *pools: PoolView) -> None:
        """Count from now on what these do; the names of pools must differ."""
        self._pools: dict[str, _Pool] = {}
        for pool in pools:
            self.add(pool)

    def add(self, pool: PoolView) -> None:
        """Collect from another pool, too; it replaces one of the same name."""
        self._pools[pool.name] = _Pool(pool)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: names are not looked at when this is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return all metrics, as they are now."""
        families = _Families()
        for name, pool in self._pools.items():
            families.add(name, pool)
        return families.all()


class _Pool:
    """A pool, and what is counted as it happens."""

    shows = False

    def __init__(self, pool: PoolView) -> None:
        self.view = ref(pool)
        self.exits = ExitCounts(len(pool.snapshot(resources=False).workers))
        self.runs = _Histogram()
        self.waits = _Histogram()
        self._lock = Lock()
        self._left: deque[Followed] = deque(maxlen=MOST_LEFT)
        pool.events(self.exits.note, quick=True, items=False)
        pool.follow(self)

    def began(self, run: Followed) -> None:
        """Nothing is to be done."""

    def ended(self, run: Followed) -> None:
        """A map has ended: count its items."""
        stretches = list(run.look().stretches())
        with self._lock:
            for stretch in stretches:
                self.runs.add(stretch.each, stretch.items)
                self.waits.add(stretch.wait, stretch.items)

    def left(self, run: Followed) -> None:
        """A map was left early: it is counted when somebody asks."""
        self._left.append(run)

    def read(self) -> None:
        """Count what was left early since the last time."""
        while self._left:
            self.ended(self._left.popleft())


class _Histogram:
    """How often seconds of each size have come."""

    def __init__(self) -> None:
        self.total = 0.0
        self._counts = [0] * (len(FEW_BOUNDS) + 1)

    def add(self, seconds: float, times: int) -> None:
        """They have come, so many times."""
        self._counts[bisect_left(FEW_BOUNDS, seconds)] += times
        self.total += max(seconds, 0.0) * times

    def buckets(self) -> list[tuple[str, float]]:
        """Return, by bound, how often no more than that has come."""
        names = [f"{bound:g}" for bound in FEW_BOUNDS] + ["+Inf"]
        return list(zip(names, accumulate(map(float, self._counts)), strict=True))


class _Families:
    """The metrics of one scrape."""

    def __init__(self) -> None:
        pool = ["pool"]
        self.items = CounterMetricFamily(
            "processpool_items", "Items that have ended.", labels=[*pool, "outcome"]
        )
        self.queue = GaugeMetricFamily(
            "processpool_queue_items", "Items that wait for a worker.", labels=pool
        )
        self.running = GaugeMetricFamily(
            "processpool_running_items", "Items that workers have.", labels=pool
        )
        self.workers = GaugeMetricFamily(
            "processpool_workers", "Workers by state.", labels=[*pool, "state"]
        )
        self.most = GaugeMetricFamily(
            "processpool_workers_max", "The most workers there may be.", labels=pool
        )
        self.memory = GaugeMetricFamily(
            "processpool_worker_memory_bytes", "Resident memory by slot.", labels=[*pool, "slot"]
        )
        self.cpu = CounterMetricFamily(
            "processpool_worker_cpu_seconds", "CPU time of the worker that a slot has now.",
            labels=[*pool, "slot"],
        )  # fmt: skip
        self.started = CounterMetricFamily(
            "processpool_workers_started", "Workers that were started.", labels=pool
        )
        self.failed_starts = CounterMetricFamily(
            "processpool_worker_start_failures", "Workers that failed to start.", labels=pool
        )
        self.exits = CounterMetricFamily(
            "processpool_workers_exited", "Workers that have ended, by why.",
            labels=[*pool, "reason"],
        )  # fmt: skip
        self.runs = HistogramMetricFamily(
            "processpool_item_duration_seconds", "Time of maps' items in a worker.", labels=pool
        )
        self.waits = HistogramMetricFamily(
            "processpool_item_wait_seconds", "Time of maps' items until then.", labels=pool
        )

    def add(self, name: str, pool: _Pool) -> None:
        """Add those of a pool."""
        view = pool.view()
        if view is None:  # it was dropped
            return
        now = view.snapshot()
        for outcome in ("ok", "failed", "cancelled"):
            self.items.add_metric([name, outcome], getattr(now, outcome))
        self.queue.add_metric([name], now.queued)
        self.running.add_metric([name], now.running)
        self.most.add_metric([name], now.max)
        states = Counter(worker.state for worker in now.workers)
        for state in WorkerState:
            self.workers.add_metric([name, state.value], states[state])
        for worker in now.workers:
            if worker.memory is not None:
                self.memory.add_metric([name, str(worker.slot)], worker.memory)
            if worker.cpu is not None:
                self.cpu.add_metric([name, str(worker.slot)], worker.cpu)
        self.started.add_metric([name], pool.exits.started)
        self.failed_starts.add_metric([name], pool.exits.failed_starts)
        for reason, count in list(pool.exits.exits.items()):
            self.exits.add_metric([name, reason], count)
        pool.read()
        self.runs.add_metric([name], pool.runs.buckets(), pool.runs.total)
        self.waits.add_metric([name], pool.waits.buckets(), pool.waits.total)

    def all(self) -> list[Metric]:
        """Return all of them."""
        return list(vars(self).values())
