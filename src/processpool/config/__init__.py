"""Pool declarations: YAML files are read, validated and turned into frozen models.

Two rules hold here. All problems of a configuration are reported together, in one `ConfigError`.
And a model is complete: every default is filled in, every path is absolute, every duration is in
seconds and every size in bytes. Nothing is imported before it is used, since pydantic takes time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from processpool.config.backend import (
        BatchConfig,
        DaskBackendConfig,
        LocalBackendConfig,
        TlsConfig,
        WaitForNodesConfig,
    )
    from processpool.config.keywords import pool_from_keywords
    from processpool.config.loading import load_pool, pool_from_dict
    from processpool.config.models import (
        LimitsConfig,
        PoolConfig,
        QueueConfig,
        RecycleConfig,
        RestartConfig,
        RetryConfig,
        SizeConfig,
        TimeoutsConfig,
    )
    from processpool.config.protocol import AnswerConfig, ProtocolConfig, StepConfig
    from processpool.config.workers import CommandWorkerConfig, PythonWorkerConfig

__all__ = [
    "AnswerConfig",
    "BatchConfig",
    "CommandWorkerConfig",
    "DaskBackendConfig",
    "LimitsConfig",
    "LocalBackendConfig",
    "PoolConfig",
    "ProtocolConfig",
    "PythonWorkerConfig",
    "QueueConfig",
    "RecycleConfig",
    "RestartConfig",
    "RetryConfig",
    "SizeConfig",
    "StepConfig",
    "TimeoutsConfig",
    "TlsConfig",
    "WaitForNodesConfig",
    "json_schema",
    "load_pool",
    "pool_from_dict",
    "pool_from_keywords",
]


_HOME = {
    "AnswerConfig": "protocol",
    "BatchConfig": "backend",
    "CommandWorkerConfig": "workers",
    "DaskBackendConfig": "backend",
    "LimitsConfig": "models",
    "LocalBackendConfig": "backend",
    "PoolConfig": "models",
    "ProtocolConfig": "protocol",
    "PythonWorkerConfig": "workers",
    "QueueConfig": "models",
    "RecycleConfig": "models",
    "RestartConfig": "models",
    "RetryConfig": "models",
    "SizeConfig": "models",
    "StepConfig": "protocol",
    "TimeoutsConfig": "models",
    "TlsConfig": "backend",
    "WaitForNodesConfig": "backend",
    "load_pool": "loading",
    "pool_from_dict": "loading",
    "pool_from_keywords": "keywords",
}
"""The modules that define these names; pydantic is imported with the first that is used."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of a configuration file, for editors."""
    from processpool.config.schema import json_schema as generate

    return generate()
