"""`${NAME}` in the strings of a file.

Three rules hold here. Values are put in once: what a variable holds is never expanded again. A
dollar that begins nothing (`$5`, `a$b`) stays; `$$` is one dollar. And no error repeats what a
variable holds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# A body ends at the next brace of either kind, or "${${${..." would take quadratic time.
_MARK = re.compile(r"\$\$|\$\{(?P<body>[^{}]*)\}|\$\{")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)


class Interpolated(str):
    """Text that variables were put into: where a number is wanted, it may be one."""

    __slots__ = ()


class NotSetError(ValueError):
    """A variable has neither a value nor a default."""


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with the variables it names put in.

    As in a shell, the default of `${NAME:-default}` also replaces an empty value.

    Raises:
        NotSetError: A variable is not in `environ`, and no default is given.
        ValueError: A `${` does not begin a variable.
    """
    return _MARK.sub(lambda found: _value(found, environ), text)


def has_variables(text: str) -> bool:
    """Say whether `interpolate` would change `text`."""
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
