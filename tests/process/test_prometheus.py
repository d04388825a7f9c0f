"""What pools count, in the text format that Prometheus scrapes."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from processpool import ProcessPool
from processpool.prometheus import PoolCollector
from tests.process.workers.traced import die, slowly

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scrapes:
    """Reads what is scraped from a collector."""

    def __init__(self, collector: PoolCollector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)

    def value(self, name: str, **labels: str) -> float | None:
        """The value of a sample; None if there is none."""
        text = generate_latest(self._registry).decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(name="p", max_workers=1) as pool:
        yield pool


@pytest.fixture
def scrapes(pool: ProcessPool) -> Scrapes:
    return Scrapes(PoolCollector(pool))


def test_items_by_outcome(pool: ProcessPool, scrapes: Scrapes) -> None:
    pool.map(die, range(5), on_error="return")
    assert pool.call(abs, -1) == 1
    assert scrapes.value("processpool_items_total", pool="p", outcome="ok") == 5
    assert scrapes.value("processpool_items_total", pool="p", outcome="failed") == 1
    assert scrapes.value("processpool_items_total", pool="p", outcome="cancelled") == 0


def test_workers(pool: ProcessPool, scrapes: Scrapes) -> None:
    pool.map(die, range(3), on_error="return")
    pool.wait_ready()
    assert scrapes.value("processpool_workers_exited_total", pool="p", reason="signal 9") == 1
    assert scrapes.value("processpool_workers", pool="p", state="idle") == 1
    assert scrapes.value("processpool_workers_max", pool="p") == 1
    assert scrapes.value("processpool_workers_started_total", pool="p") == 2
    assert scrapes.value("processpool_worker_cpu_seconds_total", pool="p", slot="0") is not None
    memory = scrapes.value("processpool_worker_memory_bytes", pool="p", slot="0")
    assert memory is not None
    assert memory > 1_000_000


def test_histograms_of_maps(pool: ProcessPool, scrapes: Scrapes) -> None:
    pool.map(slowly, range(3))
    pool.map(abs, range(1000))
    left = pool.imap(slowly, range(3))
    next(left)
    left.close()
    pool.drain()
    name = "processpool_item_duration_seconds"
    slow_maps = [3, 1]
    count = scrapes.value(f"{name}_count", pool="p")
    assert count is not None
    assert count >= 1000 + sum(slow_maps)
    below = scrapes.value(f"{name}_bucket", pool="p", le="0.01")
    assert below is not None
    assert count - below >= sum(slow_maps)
    assert scrapes.value("processpool_item_wait_seconds_count", pool="p") == count


def test_several_pools(pool: ProcessPool) -> None:
    collector = PoolCollector(pool)
    scrapes = Scrapes(collector)
    with ProcessPool(command=["cat"], protocol="lines", name="q", max_workers=3) as other:
        collector.add(other)
        assert other.map(["a", "b"]) == ["a", "b"]
        assert scrapes.value("processpool_workers_max", pool="p") == 1
        assert scrapes.value("processpool_workers_max", pool="q") == 3
        assert scrapes.value("processpool_items_total", pool="q", outcome="ok") == 2
    assert scrapes.value("processpool_items_total", pool="q", outcome="ok") == 2


def test_a_pool_that_was_dropped_is_gone() -> None:
    pool = ProcessPool(name="r", max_workers=1)
    scrapes = Scrapes(PoolCollector(pool))
    assert scrapes.value("processpool_workers_max", pool="r") == 1
    del pool
    gc.collect()
    assert scrapes.value("processpool_workers_max", pool="r") is None


def test_no_item_is_told_of(pool: ProcessPool, scrapes: Scrapes) -> None:
    assert not pool._engine._hub.has_listeners  # type: ignore[attr-defined]
