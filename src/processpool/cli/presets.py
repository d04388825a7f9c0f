"""`processpool presets`: the list of protocol presets, and any of them as YAML."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from processpool.config.problems import nearest
from processpool.errors import ConfigError
from processpool.wire.framing.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator


def list_presets() -> Iterator[str]:
    """Yield the lines that list every preset: its name, what speaks it, and an example command."""
    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        yield f"{name:<{width}}  {preset.about}"
        yield f"{'':<{width}}    {shlex.join(preset.command)}"


def show_preset(name: str) -> Iterator[str]:
    """Yield the lines of a YAML file that declares a pool with this preset's keys.

    Raises:
        ConfigError: there is no such preset.
    """
    preset = PRESETS.get(name)
    if preset is None:
        meant = nearest(name, PRESETS)
        hint = f"did you mean {meant}?" if meant else "`processpool presets` lists them"
        raise ConfigError(f"no protocol is called {name!r}; {hint}")
    yield f"# {preset.about}"
    if preset.note:
        yield f"# {preset.note}"
    yield "worker:"
    yield "  kind: command"
    yield f"  command: {flow(list(preset.command))}"
    if preset.env:
        yield f"  env: {flow(preset.env)}"
    yield f"  protocol:  # the same as protocol: {name}"
    if "answer" not in preset.protocol:  # no other keys say what its answers are
        yield f"    kind: {name}"
    for key, value in preset.protocol.items():
        yield f"    {key}: {flow(value)}"
    if preset.codec != "text":
        yield f"  codec: {preset.codec}"


def flow(value: Any) -> str:
    """Return a value as YAML in flow style, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return json.dumps(value, ensure_ascii=False)  # the quotes keep text a text
