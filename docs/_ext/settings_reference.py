"""The directive `settings`: the keys of a section of the YAML file, made from the JSON Schema.

    ```{settings} size
    ```

Each key can be referred to by its path: {key}`size.max`. A section that no page shows is a warning.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from processpool.config import json_schema

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

_LOGGER = logging.getLogger(__name__)
_SHAPES = {
    "(ms|s|m|h|d)": "duration",
    "B|[kK]B": "size",
    "%$": "percentage",
}
_WORDS = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false",
    "object": "mapping", "null": "null",
}  # fmt: skip
_SECTIONS = {
    "worker": "_WorkerConfig",
    "worker (command)": "CommandWorkerConfig",
    "worker (python)": "PythonWorkerConfig",
    "worker.protocol": "ProtocolConfig",
    "worker.protocol.answer": "AnswerConfig",
    "worker.protocol.start": "StepConfig",
    "size": "SizeConfig",
    "queue": "QueueConfig",
    "timeouts": "TimeoutsConfig",
    "retry": "RetryConfig",
    "recycle": "RecycleConfig",
    "memory": "MemoryConfig",
    "limits": "LimitsConfig",
    "restart": "RestartConfig",
    "telemetry": "TelemetryConfig",
    "backend": "LocalBackendConfig",
    "backend (dask)": "DaskBackendConfig",
    "backend.batch": "BatchConfig",
    "backend.tls": "TlsConfig",
    "backend.wait_for_nodes": "WaitForNodesConfig",
    "": "PoolConfig",
}
"""The models of the sections, by what the directive is told."""
_SHOWN: set[str] = set()


def kinds(schema: dict[str, Any]) -> list[str]:
    """Return, in words, what a value may be."""
    if "anyOf" in schema:
        found = [word for each in schema["anyOf"] for word in kinds(each)]
        if "duration" in found or "size" in found:  # those are written as numbers, too
            found = [word for word in found if word not in ("number", "whole number")]
        return list(dict.fromkeys(found))
    if schema.get("pattern") == r"\$\{":  # any value may be a variable
        return []
    if "enum" in schema:
        return ["name"] if len(schema["enum"]) > 8 else [f"`{each}`" for each in schema["enum"]]
    if "const" in schema:
        return [f"`{schema['const']}`"]
    if schema.keys() & {"$ref", "allOf", "oneOf"}:
        return ["mapping"]
    if schema.get("type") == "array":
        if isinstance(schema.get("items"), list):
            return ["two " + kinds(schema["items"][0])[0] + "s"]
        inner = kinds(schema.get("items", {})) or ["text"]
        return ["list of " + " or ".join(inner)]
    for part, word in _SHAPES.items():
        if part in schema.get("pattern", ""):
            return [word]
    return [_WORDS.get(schema.get("type", ""), "any value")]


def in_yaml(value: Any, words: list[str]) -> str:
    """Return a default as it would be written in the file."""
    if "duration" in words and isinstance(value, float):
        return _duration(value)
    if "two durations" in words:
        return "[" + ", ".join(_duration(each) for each in value) + "]"
    if "size" in words and isinstance(value, int):
        for unit, factor in (("GiB", 1 << 30), ("MB", 10**6)):
            if value % factor == 0:
                return f"{value // factor}{unit}"
    if value == "":
        return '""'
    if isinstance(value, str) and "\n" in value:
        return json.dumps(value)
    return yaml.safe_dump(value, default_flow_style=True, width=200).removesuffix("...\n").strip()


def _duration(seconds: float) -> str:
    if seconds >= 60 and seconds % 60 == 0:
        return f"{seconds / 60:g}m"
    return f"{seconds:g}s"


def describe(path: str, schema: dict[str, Any], required: bool) -> str:
    """Return the Markdown of one key."""
    words = kinds(schema)
    facts = " or ".join(words)
    default = schema.get("default")
    if required:
        facts += " · required"
    elif isinstance(default, dict | type(None)) and default not in ({}, []):
        facts += ""
    else:
        facts += f" · default `{in_yaml(default, words)}`"
    text = schema.get("description", "").replace("\n", " ")
    text = re.sub(r"(\{\w+\}|\$/\w+)", r"`\1`", text)
    return f"````{{key}} {path}\n*{facts}*\n\n{text}\n````\n"


def _told(schema: dict[str, Any], models: Any) -> dict[str, Any]:
    """The schema of a key; that of a section says what its model says."""
    reference = schema.get("$ref") or schema.get("allOf", [{}])[0].get("$ref")
    if "description" in schema or reference is None:
        return schema
    return schema | {"description": models[reference.rpartition("/")[2]]["description"]}


class Settings(SphinxDirective):
    """The keys of one section, in the order of the model."""

    required_arguments = 0
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the keys of the section as definitions with an anchor each."""
        section = self.arguments[0] if self.arguments else ""
        _SHOWN.add(section)
        path = section.partition(" ")[0]
        prefix = f"{path}." if path else ""
        models = json_schema()["definitions"]
        names, required = self._fields(section, models)
        return self.parse_text_to_nodes(
            "\n".join(
                describe(prefix + name, _told(schema, models), name in required)
                for name, schema in names.items()
            )
        )

    def _fields(self, section: str, models: Any) -> tuple[dict[str, Any], list[str]]:
        common = models["CommandWorkerConfig"]["properties"].keys() & (
            models["PythonWorkerConfig"]["properties"].keys() - {"kind"}
        )
        if section == "worker":
            command = models["CommandWorkerConfig"]["properties"]
            kind = {
                "anyOf": [{"const": "command"}, {"const": "python"}],
                "description": "What a worker is: any program, or an interpreter for functions.",
            }
            return {"kind": kind, **{n: s for n, s in command.items() if n in common}}, ["kind"]
        if section == "backend":
            kind = {
                "anyOf": [{"const": "local"}, {"const": "dask"}],
                "default": "local",
                "description": "On this machine, or on the nodes of a Dask cluster.",
            }
            return {"kind": kind}, []
        model = models[_SECTIONS[section]]
        fields = model["properties"]
        if "(" in section:
            fields = {n: s for n, s in fields.items() if n != "kind"}
        if section.startswith("worker ("):
            fields = {n: s for n, s in fields.items() if n not in common}
        return fields, model.get("required", [])


def check_all_shown(app: Sphinx, env: Any) -> None:
    """Warn of sections that no page shows, and of models that this file does not know."""
    for section in sorted(_SECTIONS.keys() - _SHOWN):
        _LOGGER.warning("no page shows the keys of %r", section or "the file")
    for model in sorted(json_schema()["definitions"].keys() - set(_SECTIONS.values())):  # type: ignore[attr-defined]
        _LOGGER.warning("%s is a section that settings_reference.py does not know", model)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive, and the kind of thing that a key is."""
    app.add_object_type("key", "key", "pair: %s; YAML key", objname="YAML key")
    app.add_directive("settings", Settings)
    app.connect("env-check-consistency", check_all_shown)
    return {"parallel_read_safe": False}
