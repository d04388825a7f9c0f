"""Construction of a backend from a validated declaration."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from processpool.backends.dask import Address, BatchLimits, DaskBackend, Orders, Terms
from processpool.config.backend import DaskBackendConfig
from processpool.config.environment import own_environment
from processpool.config.problems import Problem, config_error

if TYPE_CHECKING:
    from processpool.config import PoolConfig
    from processpool.core.policy import Policy

_NO_SCHEDULER = (
    "is required, such as tcp://host:8786; or pass a client: ProcessPool.from_yaml(path, client=…)"
)


def declared_backend(config: PoolConfig, policy: Policy, client: Any, build: str) -> DaskBackend:
    """Build the backend of a pool.

    Args:
        config: the declaration.
        policy: the sizes, times and limits of each node's pool.
        client: one of Dask, whose cluster is used; None for the declared one.
        build: the function that opens the engine of a node's pool, as module:attribute.

    Raises:
        ConfigError: the cluster is not named.
    """
    place = config.backend
    if not isinstance(place, DaskBackendConfig):
        place = DaskBackendConfig(kind="dask")
    if client is None and place.scheduler is None:
        raise config_error([Problem(("backend", "scheduler"), _NO_SCHEDULER)])
    return DaskBackend(
        _address_of(place, client),
        Orders(build, _declaration_of(config), place.workers_per_node),
        _terms_of(place),
        replace(policy, target=place.batch.target * place.batches_per_node),
        config.queue.max_pending,
        config.name,
    )


def _address_of(place: DaskBackendConfig, client: Any) -> Address:
    files = place.tls
    tls = None if files is None else (str(files.ca), str(files.cert), str(files.key))
    return Address(place.scheduler, tls, client)


def _terms_of(place: DaskBackendConfig) -> Terms:
    batch, wait = place.batch, place.wait_for_nodes
    limits = BatchLimits(batch.target, batch.max_items, batch.max_bytes)
    return Terms(limits, place.batches_per_node, place.on_node_loss, wait.min, wait.timeout)


def _declaration_of(config: PoolConfig) -> str:
    """Return the configuration of a node's pool, as JSON; it has the values of `env`."""
    data = config.model_dump(
        mode="json", exclude={"backend", "inline", "size", "widget"}, exclude_unset=True
    )
    data["worker"]["env"] = own_environment(config.worker)
    data["name"] = config.name
    data["size"] = {"min": config.size.min, "spare": config.size.spare}
    return json.dumps(data)
