"""What a preset is: the protocol of a well-known program, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """One program's protocol.

    Attributes:
        protocol: the keys of `worker.protocol`.
        command: an example of a program that speaks it.
        about: what speaks it, in a few words.
        programs: the names of programs, by which it can be found.
        env: variables that the program needs to behave.
        codec: the codec that its messages need, where that is not text.
        note: what whoever uses it should know.
    """

    protocol: dict[str, Any]
    command: tuple[str, ...]
    about: str
    programs: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    codec: str = "text"
    note: str = ""
