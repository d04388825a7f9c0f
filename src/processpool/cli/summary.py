"""The summary of a pool's declaration, with its defaults, in the terms of the YAML file.

Of `env` only the names are shown, never the values.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from processpool.config import PoolConfig
from processpool.system.units import MILLISECONDS, SIZES, format_units

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from processpool.config import CommandWorkerConfig, ProtocolConfig, PythonWorkerConfig

_ALWAYS = ("size", "timeouts")
_IF_SET = ("queue", "retry", "recycle", "memory", "limits", "restart")
_DURATIONS = {"start", "request", "idle", "exit", "after", "cpu_time", "within", "backoff"}
_SIZES = {"max_message", "above_memory", "memory", "budget", "per_item"}


def describe(config: PoolConfig) -> Iterator[str]:
    """Yield the lines that describe a pool."""
    yield config.name
    worker = config.worker
    if worker.kind == "command":
        yield from _command(worker)
    else:
        yield from _python(worker)
    yield _row("cwd", str(worker.cwd))
    yield _row("env", _environment(worker))
    for name in _ALWAYS + _IF_SET:
        section = getattr(config, name)
        if name in _ALWAYS or section != PoolConfig.model_fields[name].get_default():
            yield _row(name, _pairs(section.model_dump()))


def _command(worker: CommandWorkerConfig) -> Iterator[str]:
    yield _row("command", shlex.join(worker.command))
    yield _row("protocol", ", ".join(_protocol(worker.protocol)))
    yield _row("codec", worker.codec)


def _protocol(protocol: ProtocolConfig) -> Iterator[str]:
    """Yield the preset and the limits, then each key that differs from the preset."""
    preset = type(protocol)(kind=protocol.kind)
    keys = protocol.model_dump()
    always = ("kind", "pipeline", "max_message")
    yield _pairs({key: keys[key] for key in always})
    for key in keys:
        value = getattr(protocol, key)
        if key not in always and value != getattr(preset, key):
            yield f"{key} {_quoted(value)}"


def _quoted(value: Any) -> str:
    """Return a text, or a tuple or model of texts, with control characters escaped."""
    if isinstance(value, tuple):
        return " ".join(map(_quoted, value))
    if isinstance(value, BaseModel):
        keys = value.model_dump(exclude_defaults=True)
        return " ".join(f"{key} {_quoted(below)}" for key, below in keys.items())
    return repr(value)


def _python(worker: PythonWorkerConfig) -> Iterator[str]:
    yield _row("handler", worker.handler or "none: takes functions")
    keys = ("setup", "teardown", "path", "preload", "threads", "reload")
    for key in keys:
        value = getattr(worker, key)
        if value not in (None, ()):
            yield _row(key, _value(key, value))


def _environment(worker: CommandWorkerConfig | PythonWorkerConfig) -> str:
    own = ", ".join(worker.env) or "nothing of its own"
    if worker.inherit_env is True:
        return f"{own}; inherits the pool's environment"
    if worker.inherit_env is False:
        return f"{own}; inherits nothing"
    return f"{own}; inherits {', '.join(worker.inherit_env) or 'nothing'}"


def _row(name: str, text: str) -> str:
    return f"  {name:<9} {text}"


def _pairs(section: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_value(key, value)}" for key, value in section.items())


def _value(key: str, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return " ".join(_value(key, item) for item in value)
    if key in _DURATIONS:
        return format_units(round(value * 1000), MILLISECONDS)
    if key == "budget" and isinstance(value, float):
        return f"{100 * value:g}%"
    if key in _SIZES and value != "auto":
        return format_units(value, SIZES)
    return str(value)
