"""Translation of pydantic's errors into problems in the terms of the configuration file.

Two rules hold here. A sentence says what is expected, then what was found, as far as the document
allows it to be shown. And an error about a value that was rejected already is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.config.known_keys import OF_KINDS, known_keys, models_of, unknown_key
from processpool.config.problems import Problem, dotted, either, nearest, one_line, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from processpool.config.document import Document
    from processpool.config.nodes import Path

_KEY = "[key]"
"""The last part of a location in pydantic's errors that concern a key, not its value."""

_EXPECTED = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping of names to values",
    "mapping_type": "must be a mapping of names to values",
    "model_attributes_type": "must be a mapping",
}


def explain(error: ValidationError, document: Document, root: type[BaseModel]) -> list[Problem]:
    """Return the problems in `error`, from validating `document` as the model `root`."""
    explainer = _Explainer(document, root)
    problems: list[Problem] = []
    for details in error.errors(include_url=False, include_input=False):
        problems.extend(explainer.explain(details))
    return problems


class _Explainer:
    """Translates pydantic's errors for one document."""

    def __init__(self, document: Document, root: type[BaseModel]) -> None:
        self._document = document
        self._root = root

    def explain(self, details: ErrorDetails) -> Iterator[Problem]:
        """Yield the problems that one of pydantic's errors stands for."""
        path = self._path(details)
        match details["type"]:
            case "missing":
                yield self._document.problem(path, "is required")
            case "extra_forbidden":
                yield self._unknown(path, known_keys(self._root, path[:-1], self._document))
            case "invalid_key":
                yield self._key_not_text(path)
            case "union_tag_not_found" | "union_tag_invalid":
                yield from self._kind((*path, "kind"))
            case kind if path[-1:] == (_KEY,):
                yield self._key(path[:-1], details, kind)
            case kind:
                yield from self._value(self._document.existing(path), details, kind)

    def _path(self, details: ErrorDetails) -> Path:
        """Return the location without the tag that pydantic inserts after a section of kinds."""
        path = details["loc"]
        if path[:1] and path[0] in OF_KINDS and path[0] in self._root.model_fields:
            path = path[:1] + path[2:]
        return path

    def _unknown(self, path: Path, known: list[str]) -> Problem:
        return self._document.problem(path, unknown_key(str(path[-1]), known), at_key=True)

    def _key_not_text(self, path: Path) -> Problem:
        shown = one_line(str(path[-1]))
        return self._document.problem(path[:-1], f"a key must be text, got {shown}")

    def _key(self, path: Path, details: ErrorDetails, kind: str) -> Problem:
        if kind == "string_type":
            return self._key_not_text(path)
        return self._document.problem(path, _expected(details), at_key=True)

    def _kind(self, path: Path) -> Iterator[Problem]:
        """Explain a missing or wrong `kind`, and check the keys beside it, as pydantic does not."""
        if self._document.is_unknown(path):
            return
        models = models_of(self._root, str(path[-2]))
        if self._document.existing(path) == path:
            yield self._document.problem(path, self._choice(list(models), path))
        else:
            yield self._document.problem(path, f"is required: {either(models)}")
        known = sorted({key for model in models.values() for key in model.model_fields})
        beside = self._document.at(path[:-1])
        for key in beside if isinstance(beside, dict) else ():
            if isinstance(key, str) and key not in known:
                yield self._unknown((*path[:-1], key), known)

    def _value(self, path: Path, details: ErrorDetails, kind: str) -> Iterator[Problem]:
        if self._document.is_unknown(path):
            return
        if kind == "literal_error":
            sentence = self._choice(_literal_values(details), path)
        elif kind == "name":
            sentence = self._name(details, path)
        elif kind == "bound":
            sentence = self._got(self._bound(details, path), path)
        else:
            sentence = self._got(_expected(details), path)
        yield self._document.problem(path, sentence)

    def _got(self, right: str, path: Path) -> str:
        shown = self._document.shown(path)
        if right == _EXPECTED["string_type"] and self._document.wants_quotes(path):
            return f"{right}, got {shown} (write {quoted(shown)})"
        return f"{right}, got {shown}"

    def _choice(self, words: list[str], path: Path) -> str:
        shown = self._document.shown(path)
        meant = nearest(shown.strip('"'), words)
        hint = f"; did you mean {meant}?" if meant else ""
        return f"must be {either(words)}, got {shown}{hint}"

    def _name(self, details: ErrorDetails, path: Path) -> str:
        """Return the sentence for a value that is not one of many known names."""
        context, shown = details["ctx"], self._document.shown(path)
        meant = nearest(shown.strip('"'), context["known"])
        hint = f"did you mean {meant}?" if meant else context["hint"]
        return f"must be the name of {context['what']}, got {shown}; {hint}"

    def _bound(self, details: ErrorDetails, path: Path) -> str:
        """Return the sentence for a value out of the bounds that another key sets."""
        context = details["ctx"]
        other = (*path[:-1], context["other"])
        value = str(context["value"])
        if self._document.existing(other) == other:
            value = self._document.shown(other)
        if value == "cpu":
            value = f"cpu, here {context['value']}"
        return f"must be {context['words']} {dotted(other)} ({value})"


def _literal_values(details: ErrorDetails) -> list[str]:
    """Return the values of a literal, which pydantic lists as `'a', 'b' or 'c'`."""
    expected: str = details["ctx"]["expected"]
    return expected.replace("'", "").replace(" or ", ", ").split(", ")


def _expected(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    if details["type"] == "value_error":
        return str(context["error"])
    if "ge" in context:
        return f"must be at least {_plain(context['ge'])}"
    if "le" in context:
        return f"must be at most {_plain(context['le'])}"
    return _EXPECTED.get(details["type"], "is not valid")


def _plain(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)
