"""The schema accepts what the loader accepts, and an editor learns from it about the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from processpool.config import PoolConfig, json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

VALIDATOR = jsonschema.Draft7Validator(json_schema())
CAT = "worker: {kind: command, command: [cat]}\n"
GOOD = [
    CAT,
    "worker: {kind: command, command: cat -n, protocol: lines, codec: json, inherit_env: [PATH]}",
    "worker: {kind: command, command: [cat], protocol: {kind: framed, max_message: 1GiB}}",
    "worker: {kind: command, command: [cat], env: {A: b}, cwd: ../x, inherit_env: false}",
    "worker: {kind: python, handler: a.b:c, path: [x], preload: [numpy], threads: null}",
    CAT + "size: {min: cpu, max: 4, spare: '${N}'}\nwidget: 'off'",
    CAT + "timeouts: {start: 0.5, request: null, idle: 1.5h, exit: 250ms}",
    CAT + "retry: {attempts: 2, 'on': [crash, error]}\nrestart: {backoff: [0.1s, 30]}",
    CAT + "limits: {memory: 512 MiB, cpu_time: '${T}', nice: 5}\nrecycle: {above_memory: 100}",
    "pools: {a: {worker: {kind: python}}, b: {worker: {kind: command, command: [cat]}}}",
]
BAD = [
    "{}",
    "[]",
    "worker: cat",
    "worker: {kind: command}",
    "worker: {kind: command, command: []}",
    "worker: {kind: python, command: [cat]}",
    CAT + "sizes: {}",
    CAT + "size: {min: true}",
    CAT + "size: {min: four}",
    CAT + "timeouts: {start: 10 sec}",
    CAT + "timeouts: {start: null}",
    CAT + "limits: {memory: 2 gigs}",
    CAT + "retry: {'on': [crush]}",
    CAT + "restart: {backoff: [1s]}",
    CAT + "restart: {backoff: [1s, soon]}",
    "pools: {}",
    "pools: {a: {worker: {kind: python}}}\nname: x",
    "pools: {a: {worker: {kind: java}}}",
]


def _keywords(schema: Any, *, names: bool = False) -> Iterator[str]:
    """Every keyword of a schema; `names` if it maps names to schemas."""
    if isinstance(schema, list):
        for each in schema:
            yield from _keywords(each)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if not names:
                yield key
            if names or key not in ("default", "enum", "const"):
                yield from _keywords(
                    value, names=key in ("properties", "definitions") and not names
                )


def test_it_is_a_schema_of_draft_7() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())
    known = set(jsonschema.Draft7Validator.META_SCHEMA["properties"])
    assert set(_keywords(json_schema())) <= known
    assert json_schema()["$id"] == "https://json.schemastore.org/processpool.json"
    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize("text", GOOD)
def test_good_files(text: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize("text", BAD)
def test_bad_files(text: str) -> None:
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


def _properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for definition in schema["definitions"].values():
        yield from definition["properties"].items()


def test_every_key_is_described() -> None:
    described = {"description", "$ref", "allOf"}  # what is referred to has its own description
    assert [key for key, found in _properties(json_schema()) if not described & set(found)] == []


def test_it_does_not_depend_on_this_machine() -> None:
    described = dict(_properties(json_schema()))
    assert described["max"]["default"] == "cpu"
    assert "default" not in described["spare"]
    assert described["cwd"]["default"] == "."


def test_it_is_made_from_the_models() -> None:
    definitions: Any = json_schema()["definitions"]
    assert list(definitions["PoolConfig"]["properties"]) == list(PoolConfig.model_fields)
