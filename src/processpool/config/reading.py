"""Conversion of a syntax tree to a document: variables substituted, scalars resolved.

Three rules hold here. A plain scalar is resolved *after* its variables are substituted. A quoted
one stays text, and so does every `env` value; where only text can be meant, as in a command, so
does a plain one in which variables were substituted; and where a number is expected, a quoted one
in which they were is accepted. And an `env` value that YAML does not read as text is rejected,
since it is not the text that it looks like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processpool.config.document import ENV_KEY, Document
from processpool.config.interpolation import (
    Interpolated,
    NotSetError,
    has_variables,
    interpolate,
)
from processpool.config.nodes import Items, Mapping, Node, Path, Scalar
from processpool.config.problems import Problem, one_line, quoted
from processpool.config.scalars import not_text, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping as Environ

_MAX_SHOWN_DIGITS = 5
_ENV_PATH = ("worker", ENV_KEY)
_TEXTS = frozenset({("name",), ("worker", "command"), ("worker", "cwd")})
_LISTS_OF_TEXTS = frozenset({("worker", "command"), ("worker", "path"), ("worker", "preload")})


def read_document(
    node: Node, prefix: Path, environ: Environ[str, str] | None
) -> tuple[Document, list[Problem]]:
    """Return the document of a pool, and the problems of its variables and of `env`.

    Args:
        node: The pool's mapping.
        prefix: The keys above it.
        environ: The environment variables; None for a pool that is validated but not used, whose
            variables need not be set.
    """
    reader = _Reader(Document(None, prefix), environ)
    reader.document.data = reader.read(node, ())
    return reader.document, reader.problems


class _Reader:
    """Fills a document, recursively; `TreeBuilder` has limited the tree's depth."""

    def __init__(self, document: Document, environ: Environ[str, str] | None) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self._environ = environ

    def read(self, node: Node, path: Path) -> object:
        """Return the data of `node`, and record its position."""
        self.document.places[path] = node.place
        if isinstance(node, Scalar):
            return self._scalar(node, path)
        if isinstance(node, Items):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.items)]
        if isinstance(node, Mapping):
            return self._mapping(node, path)
        self.document.unknown.add(path)
        return None

    def _mapping(self, node: Mapping, path: Path) -> dict[str, object]:
        data = {}
        for key, (place, value) in node.entries.items():
            self.document.keys[*path, key] = place
            data[key] = self.read(value, (*path, key))
        return data

    def _scalar(self, node: Scalar, path: Path) -> object:
        self._note(node, path)
        is_env = len(path) == len(_ENV_PATH) + 1 and path[: len(_ENV_PATH)] == _ENV_PATH
        if has_variables(node.text):
            return self._interpolated(node, path, is_env)
        if is_env and node.plain:
            self._check_env(node.text, path)
        return resolve(node.text) if node.plain and not is_env else node.text

    def _note(self, node: Scalar, path: Path) -> None:
        text = one_line(node.text) or "nothing" if node.plain else quoted(node.text)
        self.document.written[path] = text
        if node.plain:
            self.document.unquoted.add(path)

    def _interpolated(self, node: Scalar, path: Path, is_env: bool) -> object:
        try:
            text = interpolate(node.text, self._environ or {})
        except ValueError as error:
            self.document.unknown.add(path)
            if self._environ is not None or not isinstance(error, NotSetError):
                self.problems.append(self.document.problem(path, str(error)))
            return node.text
        is_text = path[:-1] in _LISTS_OF_TEXTS or (path in _TEXTS and text)
        if node.plain and not (is_env or is_text):
            return resolve(text)
        return text if is_env else Interpolated(text)

    def _check_env(self, text: str, path: Path) -> None:
        kind = not_text(text)
        if kind is None:
            return
        # A long number may be a password, so it is not shown.
        if kind == "a number" and len(text) > _MAX_SHOWN_DIGITS:
            sentence = "must be text, but this is a number in YAML (write it in quotes)"
        else:
            sentence = (
                f"must be text, but {text or 'nothing'} is {kind} in YAML (write {quoted(text)})"
            )
        self.problems.append(self.document.problem(path, sentence))
