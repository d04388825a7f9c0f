"""The JSON Schema of configuration files, for completion and checks in editors.

Two rules hold here. The schema is generated from the models, never written by hand. And it keeps to
the keywords of draft 7, which every editor supports and SchemaStore requires.
"""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from processpool.config.models import PoolConfig
from processpool.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

_ID = "https://json.schemastore.org/processpool.json"
"""Where SchemaStore would serve it."""
_DRAFT = "http://json-schema.org/draft-07/schema#"
_VARIABLE = {"type": "string", "pattern": r"\$\{"}
_SCALARS = ("integer", "number", "boolean")
_LATER = {"$defs": "definitions", "prefixItems": "items"}
"""Keywords of later drafts, and what draft 7 calls them."""


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of a file with one pool, or with several under `pools:`."""
    pool = PoolConfig.model_json_schema()
    definitions = {**pool.pop("$defs"), "PoolConfig": pool}
    _describe(definitions)
    definitions = _in_draft_7(_with_variables(definitions))
    reference = {"$ref": "#/definitions/PoolConfig"}
    pools = {
        "description": "Several pools, each under its name.",
        "type": "object",
        "additionalProperties": reference,
        "minProperties": 1,
    }
    return {
        "$schema": _DRAFT,
        "$id": _ID,
        "title": "processpool",
        "description": "A pool of worker processes, or several under `pools`.",
        "if": {"type": "object", "required": ["pools"]},
        "then": {"properties": {"pools": pools}, "additionalProperties": False},
        "else": reference,
        "definitions": definitions,
    }


def _describe(definitions: dict[str, Any]) -> None:
    """Give the keys of models the text below their fields as a description.

    Pydantic can do that itself, but each time the models are imported, where it takes long.
    """
    texts = {
        name: text
        for module in {sys.modules[model.__module__] for model in _models(Section)}
        for name, text in _texts(ast.parse(inspect.getsource(module)))
    }
    for model in _models(Section):
        properties = definitions.get(model.__name__, {}).get("properties", {})
        for name, described in properties.items():
            for base in model.__mro__:
                text = texts.get((base.__name__, name))
                if text is not None:
                    described["description"] = text
                    break


def _texts(module: ast.Module) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the texts below the fields of classes, by the names of the class and the field."""
    for node in module.body:
        for field, below in pairwise(node.body if isinstance(node, ast.ClassDef) else ()):
            match node, field, below:
                case (
                    ast.ClassDef(name=owner),
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    yield (owner, name), inspect.cleandoc(text)
                case _:
                    pass


def _models(base: type[Section]) -> Iterator[type[Section]]:
    """Yield the models that are based on this one."""
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _with_variables(schema: Any) -> Any:
    """Return `schema` with `${NAME}` allowed wherever a number, boolean or choice is expected."""
    if isinstance(schema, list):
        return [_with_variables(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in _SCALARS or "enum" in schema:
        kept = {key: schema[key] for key in ("description", "default", "title") if key in schema}
        rest = {key: value for key, value in schema.items() if key not in kept}
        return kept | {"anyOf": [rest, dict(_VARIABLE)]}
    return {key: _with_variables(value) for key, value in schema.items()}


def _in_draft_7(schema: Any) -> Any:
    """Return `schema` with the keywords of draft 7; what pydantic writes is newer."""
    if isinstance(schema, list):
        return [_in_draft_7(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        reference = {"$ref": schema["$ref"].replace("#/$defs/", "#/definitions/")}
        # Draft 7 ignores what stands beside a reference.
        return _in_draft_7(rest) | {"allOf": [reference]} if rest else reference
    # `discriminator` is a keyword of OpenAPI: the kinds exclude one another without it.
    return {
        _LATER.get(key, key): _in_draft_7(value)
        for key, value in schema.items()
        if key != "discriminator"
    }
