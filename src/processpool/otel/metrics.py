"""The metrics of all pools that report to one provider.

What a pool counts anyway is only read when a reader asks for it. A pool that was closed leaves its
counts behind, so that those of its name never fall.
"""

from __future__ import annotations

from collections import Counter
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from opentelemetry import metrics
from opentelemetry.metrics import Observation

from processpool.core.events import Event, PoolClosedDown
from processpool.core.exit_counts import ExitCounts
from processpool.core.log_bins import FEW_BOUNDS
from processpool.otel.allowance import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, MeterProvider

    from processpool.api.view import PoolView
    from processpool.core.snapshot import PoolSnapshot

    Attributes = tuple[tuple[str, str], ...]
    Values = Counter[Attributes]

NAME = "processpool"
"""The name of the meter and the tracer."""
MEASURED_PER_SECOND = 50
"""Measurements of single items, at most: one costs about 20 µs."""
FRESH = 0.01
"""Seconds for which a snapshot is used again: a reader asks for all metrics, one after another."""
POOL = "processpool.pool"
"""The attribute with the pool's name."""


class Watched:
    """One pool, and the counts that it leaves behind."""

    def __init__(self, pool: PoolView) -> None:
        self.name = pool.name
        self.exits = ExitCounts(len(pool.snapshot(resources=False).workers))
        self.is_over = False
        self._pool = ref(pool)
        self._last: PoolSnapshot | None = None
        pool.events(self._note, items=False)

    def look(self) -> PoolSnapshot | None:
        """Return a snapshot: the last one, of a pool that is closed or gone."""
        pool, last = self._pool(), self._last
        is_fresh = last is not None and monotonic() - last.at <= FRESH
        if pool is not None and not self.is_over and not is_fresh:
            self._last = pool.snapshot()
        return self._last

    def _note(self, event: Event) -> None:
        self.exits.note(event)
        if type(event) is PoolClosedDown:
            self._last = None
            self.look()
            self.is_over = True


class Meters:
    """The instruments of one provider, and the pools that they measure."""

    def __init__(self, provider: MeterProvider | None) -> None:
        self._watched: list[Watched] = []
        self._lock = Lock()
        self._allowance = Allowance(MEASURED_PER_SECOND)
        meter = metrics.get_meter(NAME, meter_provider=provider)
        self._runs = meter.create_histogram(
            "processpool.item.duration", "s", "Seconds for which workers had items; fast items "
            "that a worker had one after another are one measurement, and of many, some are taken",
            explicit_bucket_boundaries_advisory=FEW_BOUNDS,
        )  # fmt: skip
        self._waits = meter.create_histogram(
            "processpool.item.wait", "s", "Seconds for which items waited for a worker",
            explicit_bucket_boundaries_advisory=FEW_BOUNDS,
        )  # fmt: skip
        count = meter.create_observable_counter
        count("processpool.items", [self._read(_items)], "{item}", "Items that have ended")
        count("processpool.workers.started", [self._read(_starts)], "{worker}", "Started workers")
        count("processpool.workers.exited", [self._read(_exits)], "{worker}", "Ended workers")
        level = meter.create_observable_up_down_counter
        level("processpool.queue", [self._read(_queue)], "{item}", "Items that wait, or run")
        level("processpool.workers", [self._read(_states)], "{worker}", "Workers by state")
        level("processpool.workers.memory", [self._read(_memory)], "By", "Their resident memory")

    def watch(self, pool: PoolView) -> None:
        """Measure a pool from now on."""
        with self._lock:
            self._watched.append(Watched(pool))

    def ran(self, pool: dict[str, str], seconds: float, waited: float) -> None:
        """Items of a pool took so long, and had waited so long."""
        self._runs.record(seconds, pool)
        self._waits.record(max(waited, 0.0), pool)

    def ran_one(self, pool: dict[str, str], seconds: float, waited: float) -> None:
        """A single item did; of very many of them, some are measured."""
        if self._allowance.take():
            self.ran(pool, seconds, waited)

    def _read(
        self, values: Callable[[Watched, PoolSnapshot], Values]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> list[Observation]:
            with self._lock:
                total = self._sum(values)
            return [Observation(value, dict(attributes)) for attributes, value in total.items()]

        return observe

    def _sum(self, values: Callable[[Watched, PoolSnapshot], Values]) -> Values:
        total: Values = Counter()
        for watched in self._watched:
            snapshot = watched.look()
            if snapshot is not None:
                for attributes, value in values(watched, snapshot).items():
                    total[((POOL, watched.name), *attributes)] += value
        return total


_known: WeakKeyDictionary[object, Meters] = WeakKeyDictionary()


def meters_of(provider: MeterProvider | None) -> Meters:
    """Return the instruments of a provider; there is one set, however many pools report to it."""
    key = provider or metrics.get_meter_provider()
    meters = _known.get(key)
    if meters is None:
        meters = _known[key] = Meters(provider)
    return meters


def _items(_: Watched, snapshot: PoolSnapshot) -> Values:
    ended = {"ok": snapshot.ok, "failed": snapshot.failed, "cancelled": snapshot.cancelled}
    return Counter({(("processpool.outcome", how),): count for how, count in ended.items()})


def _starts(watched: Watched, _: PoolSnapshot) -> Values:
    return Counter({(): watched.exits.started})


def _exits(watched: Watched, _: PoolSnapshot) -> Values:
    exits = dict(watched.exits.exits)
    return Counter({(("processpool.exit.reason", why),): count for why, count in exits.items()})


def _queue(_: Watched, snapshot: PoolSnapshot) -> Values:
    now = {"waiting": snapshot.queued, "running": snapshot.running}
    return Counter({(("processpool.item.state", what),): count for what, count in now.items()})


def _states(_: Watched, snapshot: PoolSnapshot) -> Values:
    states = Counter(worker.state.value for worker in snapshot.workers)
    return Counter({(("processpool.worker.state", what),): count for what, count in states.items()})


def _memory(_: Watched, snapshot: PoolSnapshot) -> Values:
    return Counter({(): sum(worker.memory or 0 for worker in snapshot.workers)})
