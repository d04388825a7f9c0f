"""The field types of the models: a name, a duration, a command, an environment, and so on.

Two rules hold here. Each type validates itself; its `ValueError` says what is expected, without
repeating the value. And each has a JSON Schema that tells editors what to accept.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)

from processpool.config.folder import current_folder
from processpool.config.interpolation import Interpolated
from processpool.config.scalars import resolve
from processpool.config.units import (
    DURATION_PATTERN,
    PERCENTAGE_PATTERN,
    SIZE_PATTERN,
    parse_budget,
    parse_duration,
    parse_size,
)
from processpool.system.cpus import usable_cpus

_MAX_COUNT = 2**31 - 1

CALLER = "caller"
"""Stands for the folder in which a pool is made, as the one where its workers run."""
_TEXT = {"type": "string"}


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


def _unquoted_number(value: object) -> object:
    """Return the number in a quoted string that a variable was substituted into."""
    return resolve(value) if isinstance(value, Interpolated) else value


def _whole_or_cpu(value: object) -> object:
    value = _unquoted_number(value)
    if value == "cpu" and isinstance(value, str):
        return usable_cpus()
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number or cpu")
    return value


def _duration(value: object) -> float:
    return parse_duration(_unquoted_number(value))


def _positive_duration(value: object) -> float:
    return _positive(_duration(value))


def _positive_size(value: object) -> float:
    return _positive(parse_size(_unquoted_number(value)))


def _positive_budget(value: object) -> float:
    return _positive(parse_budget(_unquoted_number(value)))


def _size_or_auto(value: object) -> object:
    if value == "auto" and isinstance(value, str):
        return value
    try:
        return _positive_size(value)
    except ValueError:
        raise ValueError("must be auto or a size such as 512MiB") from None


def _tuple(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")
    return tuple(value)


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold a NUL")
    return value


def _name(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be a name: some text, on one line")
    return value


def _split_command(value: object) -> object:
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            raise ValueError("cannot be split as a shell would: a quote is not closed") from None
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list such as [python, worker.py], or the same as one string")
    return tuple(value)


def _program(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not value[0]:
        raise ValueError("must begin with a program's name")
    return value


def _absolute(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("must be the path of a folder")
    base = info.context["base"] if info.context else current_folder()
    return Path(os.path.abspath(base / value))


def _absolute_file(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("must be the path of a file")
    return _absolute(value, info)


def _working(value: object, info: ValidationInfo) -> Path:
    return current_folder() if value == CALLER else _absolute(value, info)


def _target(value: str) -> str:
    module, colon, attribute = value.partition(":")
    if not colon or not all(part.isidentifier() for part in f"{module}.{attribute}".split(".")):
        raise ValueError("must have the form package.module:attribute")
    return value


def _module(value: str) -> str:
    if not all(part.isidentifier() for part in value.split(".")):
        raise ValueError("must be a module's name, such as numpy or package.module")
    return value


def _variable(value: str) -> str:
    if not value or "=" in value or "\0" in value:
        raise ValueError("the name of a variable must not be empty, nor hold = or a NUL")
    return value


def _secret(value: SecretStr) -> SecretStr:
    _no_nul(value.get_secret_value())
    return value


def _inherited(value: object) -> object:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError("must be true, false or a list of names")
    return tuple(value)


def _variant_values(value: object) -> object:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("must be a list of values, such as [0, 1], one for each worker in turn")
    return tuple(
        str(each) if isinstance(each, int) and not isinstance(each, bool) else each
        for each in value
    )


class Environment(Mapping[str, SecretStr]):
    """A read-only mapping of environment variables whose repr hides their values.

    `env["TOKEN"].get_secret_value()` is the only way to read a value.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, SecretStr]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> SecretStr:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"Environment({self._values!r})"


class Variants(dict[str, tuple[str, ...]]):
    """Environment variables that have a list of values, one for each worker in turn; hashable."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def _as_dict(env: Mapping[str, SecretStr]) -> dict[str, SecretStr]:
    return dict(env)


def _either_unit(pattern: str, number: str) -> WithJsonSchema:
    """Return the JSON Schema of a number, or of a string with a unit."""
    return WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": pattern}, {"type": number, "minimum": 0}]}
    )


Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "minLength": 1})]
Interpolatable = BeforeValidator(_unquoted_number)
"""Annotates a number or a boolean, to accept a quoted string that a variable was put into."""
Count = Annotated[int, Field(ge=0, le=_MAX_COUNT), Interpolatable]
Positive = Annotated[int, Field(ge=1, le=_MAX_COUNT), Interpolatable]
_CPU_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 0}, {"const": "cpu"}]}
Workers = Annotated[
    int,
    Field(ge=0, le=_MAX_COUNT),
    BeforeValidator(_whole_or_cpu),
    WithJsonSchema(_CPU_SCHEMA),
]

# One function for each of these, since pydantic looks at every one of every field while it is
# imported.
Duration = Annotated[float, BeforeValidator(_duration), _either_unit(DURATION_PATTERN, "number")]
PositiveDuration = Annotated[
    float, BeforeValidator(_positive_duration), _either_unit(DURATION_PATTERN, "number")
]
PositiveSize = Annotated[
    int, BeforeValidator(_positive_size), _either_unit(SIZE_PATTERN, "integer")
]

Budget = Annotated[
    int | float,
    BeforeValidator(_positive_budget),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": SIZE_PATTERN},
                {"type": "string", "pattern": PERCENTAGE_PATTERN},
                {"type": "integer", "minimum": 1},
            ]
        }
    ),
]
"""Bytes; or a share of the memory there is, as a float up to 1."""
PerItem = Annotated[
    int | Literal["auto"],
    BeforeValidator(_size_or_auto),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": SIZE_PATTERN},
                {"type": "integer", "minimum": 1},
                {"const": "auto"},
            ]
        }
    ),
]

Listed = BeforeValidator(_tuple)
"""Annotates a tuple, to accept a list as well."""

Folder = Annotated[Path, BeforeValidator(_absolute), WithJsonSchema(_TEXT)]
File = Annotated[Path, BeforeValidator(_absolute_file), WithJsonSchema(_TEXT)]
WorkingFolder = Annotated[Path, BeforeValidator(_working), WithJsonSchema(_TEXT)]
Folders = Annotated[tuple[Folder, ...], Listed]
Target = Annotated[str, AfterValidator(_target)]
Modules = Annotated[tuple[Annotated[str, AfterValidator(_module)], ...], Listed]
Command = Annotated[
    tuple[Annotated[str, AfterValidator(_no_nul)], ...],
    BeforeValidator(_split_command),
    AfterValidator(_program),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": _TEXT, "minItems": 1},
                {"type": "string", "minLength": 1},
            ]
        }
    ),
]
Env = Annotated[
    Mapping[
        Annotated[str, AfterValidator(_variable)], Annotated[SecretStr, AfterValidator(_secret)]
    ],
    AfterValidator(Environment),
    PlainSerializer(_as_dict),
    WithJsonSchema({"type": "object", "additionalProperties": _TEXT}),
]
Inherited = Annotated[bool | tuple[str, ...], BeforeValidator(_inherited), Interpolatable]
Each = Annotated[
    Mapping[
        Annotated[str, AfterValidator(_variable)],
        Annotated[
            tuple[Annotated[str, AfterValidator(_no_nul)], ...],
            BeforeValidator(_variant_values),
            WithJsonSchema(
                {
                    "type": "array",
                    "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    "minItems": 1,
                }
            ),
        ],
    ],
    AfterValidator(Variants),
]
