"""The valid keys of each mapping, and suggestions for unknown ones.

One rule holds here: keys are read from the models, so a new key need not be listed twice.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel

from processpool.config.problems import nearest

if TYPE_CHECKING:
    from processpool.config.document import Document
    from processpool.config.nodes import Path

OF_KINDS = ("worker", "backend")
"""The keys whose model depends on the `kind` inside it."""

_SIZE_MAX = "size: {max: …}"
FOREIGN_OPTIONS = {
    "max_workers": _SIZE_MAX,
    "num_workers": _SIZE_MAX,
    "n_workers": _SIZE_MAX,
    "workers": _SIZE_MAX,
    "processes": _SIZE_MAX,
    "n_jobs": _SIZE_MAX,
    "min_workers": "size: {min: …}",
    "timeout": "timeouts: {request: …}",
    "initializer": "worker: {setup: package.module:function}",
    "max_tasks_per_child": "recycle: {after_requests: …}",
    "maxtasksperchild": "recycle: {after_requests: …}",
    "chunksize": "nothing: fast items travel together by themselves",
}
"""Options of other process pools, with what to write instead."""


@cache
def models_of(root: type[BaseModel], section: str) -> dict[str, type[BaseModel]]:
    """Return the models that a section of the model `root` may have, by their `kind`."""
    models = get_args(root.model_fields[section].annotation)
    return {kind: model for model in models for kind in _kinds_of(model)}


def _kinds_of(model: type[BaseModel]) -> tuple[str, ...]:
    return get_args(model.model_fields["kind"].annotation)


def known_keys(root: type[BaseModel], path: Path, document: Document) -> list[str]:
    """Return the keys that are valid in the mapping at `path`."""
    model = root
    for length, part in enumerate(path, start=1):
        if part in OF_KINDS and part in model.model_fields:
            section = document.at(path[:length])
            kind = section.get("kind") if isinstance(section, dict) else None
            model = models_of(model, str(part)).get(str(kind), root)
        elif isinstance(part, str):  # an index does not change the model
            model = _model_of(model, part) or model
    return list(model.model_fields)


def _model_of(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    annotation = model.model_fields[key].annotation
    for found in (annotation, *get_args(annotation)):
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return None


def unknown_key(key: str, known: list[str]) -> str:
    """Return the sentence that `key` is unknown, with the nearest of the `known` keys."""
    if key in FOREIGN_OPTIONS:
        return f"unknown key; write {FOREIGN_OPTIONS[key]}"
    meant = nearest(key, known)
    if meant is not None:
        return f"unknown key; did you mean {meant}?"
    return f"unknown key; known here: {', '.join(known)}"
