"""Clusters and pools on them; each cluster is made once, as that takes seconds."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from processpool import ProcessPool
from tests.cluster.support import all_nodes_back, local_cluster
from tests.process.support import WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def _cluster_of_two() -> Iterator[Any]:
    with local_cluster(2) as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster_of_two: Any) -> Any:
    """A cluster of two nodes, both of which are there."""
    all_nodes_back(_cluster_of_two, 2)
    return _cluster_of_two


@pytest.fixture
def make_pool(cluster: Any) -> Iterator[Callable[..., ProcessPool]]:
    """Makes open pools of functions on the cluster, one worker a node; killed with the test."""
    with ExitStack() as stack:

        def make(
            worker: dict[str, Any] | None = None, *, opened: bool = True, **sections: Any
        ) -> ProcessPool:
            place = {
                "kind": "dask",
                "scheduler": cluster.scheduler_address,
                "workers_per_node": 1,
                "wait_for_nodes": {"min": 2, "timeout": "30s"},
                **sections.pop("backend", {}),
            }
            declared = {"worker": worker or {"kind": "python"}, "backend": place, **sections}
            pool = ProcessPool.from_dict(declared)
            stack.callback(pool.kill)
            return pool.open() if opened else pool

        yield make


HANDLER = {"kind": "python", "handler": "tasks:handle", "path": [str(WORKERS)]}
