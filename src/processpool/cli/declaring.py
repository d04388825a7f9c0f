"""The pool of a run: from a YAML file, or from the command line alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processpool.config import load_pool, pool_from_dict
from processpool.errors import ConfigError

if TYPE_CHECKING:
    from processpool.cli.request import Request
    from processpool.config import PoolConfig


def declared_pool(request: Request) -> PoolConfig:
    """Return the declaration of the pool that is to be run.

    Raises:
        ConfigError: it is not valid, or takes no lines.
    """
    if request.command is not None:
        worker: dict[str, Any] = {
            "kind": "command",
            "command": request.command,
            "protocol": request.protocol or "lines",
        }
        return pool_from_dict({"worker": worker}, overrides=request.overrides)
    if request.function is not None:
        worker = {"kind": "python", "handler": request.function, "path": ["."]}
        return pool_from_dict({"worker": worker}, overrides=request.overrides)
    assert request.config is not None
    config = load_pool(request.config, pool=request.pool, overrides=request.overrides)
    if config.worker.kind == "python" and config.worker.handler is None:
        raise ConfigError(
            f"{request.config}: pool {config.name} takes functions, and here there are only lines "
            "of input; name the function that answers them: worker.handler: package.module:function"
        )
    return config
