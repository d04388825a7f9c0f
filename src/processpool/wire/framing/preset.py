"""The type of a preset: the protocol of a well-known program, as data."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Preset(NamedTuple):
    """The protocol of a program.

    Attributes:
        protocol: the keys of `worker.protocol`.
        command: an example of a command that speaks it.
        about: a short description of what speaks it.
        programs: names of programs that speak it.
        env: environment variables that the program needs.
        codec: the codec for its messages.
        note: a warning to its users.
    """

    protocol: dict[str, Any]
    command: tuple[str, ...]
    about: str
    programs: tuple[str, ...] = ()
    env: Mapping[str, str] = MappingProxyType({})
    codec: str = "text"
    note: str = ""
