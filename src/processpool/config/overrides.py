"""Overrides: single keys that the caller sets by dotted path.

Two rules hold here. Overrides are applied before validation, so they are checked like the file. And
a path may lead into a short form (`protocol: framed`), which is first expanded to its mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from processpool.config.document import ENV_KEY, Document, kind_of, plain
from processpool.config.problems import Problem

if TYPE_CHECKING:
    from processpool.config.nodes import Path

_SHORT_FORMS: dict[Path, str] = {("worker", "protocol"): "kind"}
"""The keys that accept a string instead of a mapping, and the inner key that it is short for."""
_DEFAULTS: dict[Path, dict[str, str]] = {("worker", "protocol"): {"kind": "framed"}}
"""The defaults of missing mappings whose default is not the empty mapping."""


def apply_overrides(document: Document, overrides: Mapping[str, object]) -> list[Problem]:
    """Apply `overrides` to the document, in their order, and return their problems."""
    if not isinstance(overrides, Mapping):
        sentence = f'must be a mapping such as {{"size.max": 8}}, got {kind_of(overrides)}'
        return [Problem((), sentence, overridden=True)]
    problems = []
    for dotted, value in overrides.items():
        path = _split(dotted)
        if not path or not all(path):
            sentence = f"must be a dotted path such as size.max, got {dotted!r}"
            problems.append(Problem((), sentence, overridden=True))
            continue
        refused = _put(document, path, value)
        if refused is None:
            document.overridden.add(path)
        else:
            problems.append(Problem(path, refused, overridden=True))
    return problems


def _split(dotted: object) -> tuple[str, ...]:
    """Split a dotted path; all that follows `env.` is one variable's name, dots included."""
    if not isinstance(dotted, str):
        return ()
    path = tuple(dotted.split("."))
    if ENV_KEY in path[:-1]:
        end = path.index(ENV_KEY) + 1
        path = (*path[:end], ".".join(path[end:]))
    return path


def _put(document: Document, path: tuple[str, ...], value: object) -> str | None:
    """Set one value and return its problem, if any; changed dictionaries are copied first."""
    document.data = data = dict(document.data)  # type: ignore[call-overload]
    for length, part in enumerate(path[:-1], start=1):
        if part not in data:
            document.overridden.add(path[:length])
        below = data.get(part, _DEFAULTS.get(path[:length], {}))
        if isinstance(below, str) and path[:length] in _SHORT_FORMS:
            below = {_SHORT_FORMS[path[:length]]: below}
        if not isinstance(below, Mapping):
            return f"{'.'.join(path[:length])} is not a mapping, so nothing in it can be set"
        data[part] = data = dict(below)
    data[path[-1]] = plain(value)
    return None
