"""The pools that commands open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.api.leaves import register
from processpool.api.pool import ProcessPool
from processpool.errors import ConfigError

if TYPE_CHECKING:
    from processpool.config import PoolConfig


def make_pool(config: PoolConfig) -> ProcessPool:
    """Return the declared pool, not open yet.

    Raises:
        ConfigError: it needs a library that is not installed.
    """
    # The front door, which would register these, may not have been used.
    register({"otel": "processpool.otel", "report": "processpool.report"})
    try:
        return ProcessPool.from_config(config)
    except ImportError as error:
        raise ConfigError(f"{config.name}: {error}") from error
