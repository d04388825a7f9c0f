"""`processpool check`: what a file declares, and whether a worker starts."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from processpool.api.pool import ProcessPool
from processpool.cli.report import say
from processpool.cli.stopping import stoppable
from processpool.cli.summary import describe
from processpool.config import load_pool
from processpool.config.pools import declared_pools
from processpool.config.yaml_source import read_source
from processpool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from processpool.config import PoolConfig

_ONE = {"size.min": 1, "size.max": 1, "size.spare": 1}


def check_file(path: Path, pool: str | None, overrides: Mapping[str, Any], *, start: bool) -> None:
    """Print what a file declares.

    Args:
        path: the YAML file.
        pool: the one pool to look at; None for all of them.
        overrides: other values for single keys.
        start: start one worker of each pool as well, and end it.

    Raises:
        ConfigError: it does not declare valid pools; all that is wrong is said at once.
        WorkerStartFailed: a worker cannot be started.
        Stopped: a signal ended the wait for a worker.
    """
    names: list[str | None] = [pool] if pool is not None else _declared(path)
    for config in _load_all(path, names, overrides):
        say("\n".join(describe(config)))
    for config in _load_all(path, names, {**overrides, **_ONE}) if start else []:
        _start_one(config)
    say(f"{path}: no problems")


def _declared(path: Path) -> list[str | None]:
    """The names of the pools in a file; None for the only one, or for what cannot be read."""
    declared, _ = declared_pools(read_source(path))
    return [each.name for each in declared] if len(declared) > 1 else [None]


def _load_all(
    path: Path, names: list[str | None], overrides: Mapping[str, Any]
) -> list[PoolConfig]:
    configs: list[PoolConfig] = []
    problems: dict[str, None] = {}
    for name in names:
        try:
            configs.append(load_pool(path, pool=name, overrides=overrides))
        except ConfigError as error:
            problems.update(dict.fromkeys(error.problems))
    if problems:
        raise ConfigError("\n".join(problems))
    return configs


def _start_one(config: PoolConfig) -> None:
    began = monotonic()
    with stoppable(), ProcessPool.from_config(config):
        seconds = monotonic() - began
    say(f"{config.name}: a worker was ready after {seconds:.3f} s")
