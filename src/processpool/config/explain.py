"""From pydantic's errors to sentences in the user's words.

Two rules hold here. A sentence says what would be right and then what was found, as the document
allows it to be shown. And an error about what is already known to be wrong says nothing new, and
is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from processpool.config.document import SECRETS, Document
from processpool.config.known_keys import WORKER, known_keys, unknown_key, worker_models
from processpool.config.nodes import Path
from processpool.config.problems import Problem, either, nearest, quoted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_KEY = "[key]"
"""What pydantic puts at the end of a location that means the key, not its value."""

_RIGHT = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "model_type": "must be a mapping",
    "mapping_type": "must be a mapping of names to values",
    "model_attributes_type": "must be a mapping",
}


def explain(error: ValidationError, document: Document, root: type[BaseModel]) -> list[Problem]:
    """Return the problems that pydantic found in `document`, validated as `root`."""
    problems: list[Problem] = []
    for details in error.errors(include_url=False, include_input=False):
        path = _path(details, root)
        problems.extend(_EXPLAINED.get(details["type"], _wrong)(details, path, document, root))
    return problems


def _path(details: ErrorDetails, root: type[BaseModel]) -> Path:
    """Return the location without the tag that pydantic puts after `worker`."""
    path = details["loc"]
    if path[:1] == (WORKER,) and WORKER in root.model_fields:
        path = path[:1] + path[2:]
    return path


_Explained = Iterator[Problem]
_Explain = Callable[["ErrorDetails", Path, Document, type[BaseModel]], _Explained]


def _missing(
    details: ErrorDetails, path: Path, document: Document, root: type[BaseModel]
) -> _Explained:
    yield document.problem(path, "is required")


def _extra(
    details: ErrorDetails, path: Path, document: Document, root: type[BaseModel]
) -> _Explained:
    known = known_keys(root, path[:-1], document)
    yield document.problem(path, unknown_key(str(path[-1]), known), at_key=True)


def _no_text_key(
    details: ErrorDetails, path: Path, document: Document, root: type[BaseModel]
) -> _Explained:
    yield document.problem(path[:-1], f"a key must be text, got {path[-1]!r}")


def _kind(
    details: ErrorDetails, path: Path, document: Document, root: type[BaseModel]
) -> _Explained:
    """Explain a `kind` that is missing or wrong; the keys beside it are then looked at here."""
    models = worker_models()
    path = (*path, "kind")
    if document.is_unknown(path):
        return
    if document.existing(path) == path:
        yield document.problem(path, _choice(list(models), path, document))
    else:
        yield document.problem(path, f"is required: {either(models)}")
    known = {key for model in models.values() for key in model.model_fields}
    found = document.at(path[:-1])
    for key in found if isinstance(found, dict) else ():
        if isinstance(key, str) and key not in known:
            yield document.problem((*path[:-1], key), unknown_key(key, sorted(known)), at_key=True)


def _wrong(
    details: ErrorDetails, path: Path, document: Document, root: type[BaseModel]
) -> _Explained:
    """Explain a value that is there and wrong."""
    at_key = path[-1:] == (_KEY,)
    path = document.existing(path[:-1] if at_key else path)
    if document.is_unknown(path):
        return
    if at_key:
        yield document.problem(path, _right(details), at_key=True)
    elif details["type"] == "literal_error":
        words = details["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        yield document.problem(path, _choice(words, path, document))
    elif details["type"] == "bound":
        yield document.problem(path, _got(_bound(details, path, document), path, document))
    else:
        yield document.problem(path, _got(_right(details), path, document))


_EXPLAINED: dict[str, _Explain] = {
    "missing": _missing,
    "extra_forbidden": _extra,
    "invalid_key": _no_text_key,
    "union_tag_not_found": _kind,
    "union_tag_invalid": _kind,
}


def _right(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    if details["type"] == "value_error":
        return str(context["error"])
    if "ge" in context:
        return f"must be at least {context['ge']}"
    if "le" in context:
        return f"must be at most {context['le']}"
    return _RIGHT.get(details["type"], "is not valid")


def _got(right: str, path: Path, document: Document) -> str:
    shown = document.shown(path)
    wants_quotes = right == _RIGHT["string_type"] and path in document.unquoted
    if wants_quotes and SECRETS not in path and not document.is_overridden(path):
        return f"{right}, got {shown} (write {quoted(shown)})"
    return f"{right}, got {shown}"


def _choice(words: list[str], path: Path, document: Document) -> str:
    shown = document.shown(path)
    meant = nearest(shown.strip('"'), words)
    return f"must be {either(words)}, got {shown}{f'; did you mean {meant}?' if meant else ''}"


def _bound(details: ErrorDetails, path: Path, document: Document) -> str:
    """Name the other key with its value, as it is written if it is written."""
    context = details["ctx"]
    other = (*path[:-1], context["other"])
    value = document.shown(other) if document.existing(other) == other else str(context["value"])
    if value == "cpu":
        value = f"cpu, here {context['value']}"
    return f"must be {context['words']} {'.'.join(map(str, other))} ({value})"
