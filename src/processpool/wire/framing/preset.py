"""The type of a preset: the protocol of a well-known program, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
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
    env: dict[str, str] = field(default_factory=dict)
    codec: str = "text"
    note: str = ""
