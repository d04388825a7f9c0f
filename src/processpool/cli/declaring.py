"""The pool of a run: from a YAML file, or from the command line alone."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from processpool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processpool.cli.request import Request
    from processpool.config import PoolConfig

_NO_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"


def declared_pool(request: Request) -> PoolConfig:
    """Return the declaration of the pool that is to be run.

    Raises:
        ConfigError: it is not valid, or takes no lines.
    """
    with _without_plugins():
        return _read(request)


def _read(request: Request) -> PoolConfig:
    from processpool.config import load_pool, pool_from_dict

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


@contextmanager
def _without_plugins() -> Iterator[None]:
    """Keep pydantic from looking for plugins while our models are imported.

    It would read what every installed package says of itself, which takes longer than the start of
    the workers. They have the variable as it was, and so has a function that runs here.
    """
    before = os.environ.get(_NO_PLUGINS)
    os.environ[_NO_PLUGINS] = "__all__"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_PLUGINS]
        else:
            os.environ[_NO_PLUGINS] = before
