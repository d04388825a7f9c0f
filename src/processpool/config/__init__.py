"""Pools declared in YAML: read, checked and turned into frozen models.

Two rules hold here. Whatever is wrong with a configuration is one `ConfigError` that reports all of
it, and nothing else is ever raised. And what is read here is complete: every default is filled in,
every path absolute, every unit resolved.
"""

from __future__ import annotations

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
    "CommandWorkerConfig",
    "LimitsConfig",
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
    "json_schema",
    "load_pool",
    "pool_from_dict",
]


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of a file, for editors."""
    from processpool.config.schema import json_schema as generate

    return generate()
