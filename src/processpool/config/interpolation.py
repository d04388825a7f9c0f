"""Substitution of environment variables, `${NAME}`, in the strings of a file.

Three rules hold here. A variable's value is not expanded again. `$$` is one dollar, and a dollar
before anything else (`$5`, `a$b`) is kept. And no error repeats the value of a variable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# The body excludes both braces: with only "}" excluded, "${${${..." would take quadratic time.
_MARK = re.compile(r"\$\$|\$\{(?P<body>[^{}]*)\}|\$\{")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)


class Interpolated(str):
    """A quoted string in which variables were substituted; accepted where a number is expected."""

    __slots__ = ()


class NotSetError(ValueError):
    """A variable is not set and has no default."""


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with its variables replaced by their values.

    As in a shell, the default of `${NAME:-default}` also replaces an empty value.

    Raises:
        NotSetError: A variable is not in `environ` and has no default.
        ValueError: A `${` is not followed by a name and a closing brace.
    """
    return _MARK.sub(lambda found: _value(found, environ), text)


def has_variables(text: str) -> bool:
    """Return whether `text` contains anything that `interpolate` replaces or rejects."""
    return _MARK.search(text) is not None


def _value(found: re.Match[str], environ: Mapping[str, str]) -> str:
    if found[0] == "$$":
        return "$"
    body = _BODY.fullmatch(found["body"] or "")
    if body is None:
        raise ValueError("must be ${NAME} or ${NAME:-default} (write $${ for the characters ${)")
    name, default = body["name"], body["default"]
    value = environ.get(name)
    if default is not None:
        return value or default.removeprefix(":-")
    if value is None:
        raise NotSetError(f"the environment variable {name} is not set and has no default")
    return value
