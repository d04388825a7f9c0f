"""Single keys that the caller sets by dotted path.

Two rules hold here. An override changes the data before it is validated, so it obeys the same
rules as the file. And its path may lead into a short form (`protocol: framed`), which is then
written out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from processpool.config.document import SECRETS, Document, kind_of, plain
from processpool.config.problems import Problem

if TYPE_CHECKING:
    from processpool.config.nodes import Path

_SHORT_FORMS: dict[Path, str] = {("worker", "protocol"): "kind"}
"""Where a string may stand for a mapping, and the key that it then is."""
_DEFAULTS: dict[Path, dict[str, str]] = {("worker", "protocol"): {"kind": "framed"}}
"""What is changed where the file says nothing, if an empty mapping would mean something else."""


def apply_overrides(document: Document, overrides: Mapping[str, object]) -> list[Problem]:
    """Put `overrides` into the document, in their order, and return what is wrong with them."""
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
    """Split a path; the name of a variable is what follows `env.`, dots and all."""
    if not isinstance(dotted, str):
        return ()
    path = tuple(dotted.split("."))
    if SECRETS in path[:-1]:
        end = path.index(SECRETS) + 1
        path = (*path[:end], ".".join(path[end:]))
    return path


def _put(document: Document, path: tuple[str, ...], value: object) -> str | None:
    """Set one value, copying what is changed: the caller's own dictionaries stay as they are."""
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
