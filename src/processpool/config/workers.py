"""The `worker` section: the program or Python interpreter that a worker runs.

Two rules hold here. `kind` decides which other keys are valid. And paths become absolute: they are
relative to the file's folder, or to the current folder for a declaration in Python.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from processpool.config.fields import (
    Command,
    Each,
    Env,
    Environment,
    Folders,
    Inherited,
    Modules,
    Positive,
    Target,
    Variants,
    WorkingFolder,
)
from processpool.config.protocol import Protocol, ProtocolConfig, is_oneshot, is_rpc
from processpool.config.section import Section
from processpool.wire.framing.oneshot import MESSAGE
from processpool.wire.framing.template import misspelt_message
from processpool.wire.variables import POOL_VARIABLE, SLOT_VARIABLE, WORKER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processpool.wire.framing.declaration import Declaration

_HERE = Path(".")
_OF_THE_POOL = (SLOT_VARIABLE, WORKER_VARIABLE, POOL_VARIABLE)
_DERIVED = object()
"""A placeholder for a default that depends on other keys."""


class _WorkerConfig(Section):
    """The keys that both kinds of worker have."""

    cwd: WorkingFolder = Field(default=_HERE, validate_default=True)
    """The worker's current folder; relative to this file's folder, which is the default. `caller`
    stands for the folder in which the pool is made."""
    env: Env = Field(default_factory=lambda: Environment({}))
    """Environment variables of a worker. Their values are never shown."""
    inherit_env: Inherited = True
    """Whether a worker inherits the pool's environment: true, false, or a list of names."""
    each: Each = Field(default_factory=Variants)
    """Environment variables with a list of values, one for each slot in turn."""

    @field_validator("env", "each")
    @classmethod
    def _is_not_the_pools(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in _OF_THE_POOL:
            if name in value:
                raise ValueError(
                    f"must not give {name}, which the pool sets for each worker: rename it"
                )
        return value

    @field_validator("each")
    @classmethod
    def _is_not_env(cls, value: Variants, info: ValidationInfo) -> Variants:
        both = [name for name in value if name in info.data.get("env", ())]
        if both:
            raise ValueError(
                f"must not give {both[0]}, which worker.env gives too: a variable has one value "
                "for all workers (env), or one for each slot (each)"
            )
        return value


class CommandWorkerConfig(_WorkerConfig):
    """A program that reads requests from its stdin and writes answers to its stdout."""

    kind: Literal["command"]
    """command: any program, in any language."""
    command: Command
    """The program and its arguments: a list, or a string that is split as a shell would. With
    oneshot, {message} in an argument stands for the message."""
    protocol: Protocol = ProtocolConfig(kind="framed")
    """The protocol: a preset's name, or a mapping that modifies a preset (kind, else lines)."""
    stdout: Literal["pipe", "pty"] = "pipe"
    """The program's stdout: a pipe, or a pseudo-terminal for programs that buffer into pipes."""
    codec: Literal["text", "bytes", "json"] = Field(
        default_factory=lambda: _DERIVED,
        validate_default=True,
        json_schema_extra={"default": "text"},
    )
    """A message's form in Python: str (as UTF-8), bytes, or any JSON value; json for JSON-RPC."""

    if TYPE_CHECKING:
        # A protocol may be given as a name or a mapping, which the signature does not allow.
        def __init__(self, /, **data: Any) -> None: ...

    @field_validator("protocol")
    @classmethod
    def _message_is_no_program(cls, value: ProtocolConfig, info: ValidationInfo) -> ProtocolConfig:
        command = info.data.get("command")
        if is_oneshot(value.kind) and command and MESSAGE in command[0]:
            raise ValueError(
                "oneshot takes {message} in an argument of command, not in its program"
            )
        if is_oneshot(value.kind) and command and not any(MESSAGE in word for word in command):
            meant = next(filter(None, map(misspelt_message, command)), None)
            if meant is not None:
                raise ValueError(f"must not have {meant} in command (did you mean {MESSAGE}?)")
        return value

    @property
    def declaration(self) -> Declaration:
        """What the framing is told; with oneshot, a message may be an argument."""
        declaration = self.protocol.declaration
        if declaration.oneshot and any(MESSAGE in word for word in self.command):
            return replace(declaration, oneshot="argument")
        return declaration

    @field_validator("codec", mode="before")
    @classmethod
    def _fits_protocol(cls, value: object, info: ValidationInfo) -> object:
        protocol: ProtocolConfig | None = info.data.get("protocol")
        kind = None if protocol is None else protocol.kind
        if value is _DERIVED:
            return "json" if is_rpc(kind) else "text"
        if is_rpc(kind) and value != "json":
            raise ValueError(f"must be json with {kind}")
        return value


class PythonWorkerConfig(_WorkerConfig):
    """A Python interpreter that calls functions."""

    kind: Literal["python"]
    """python: Python functions."""
    handler: Target | None = None
    """The function that answers a message, as package.module:attribute."""
    setup: Target | None = None
    """A function called once in each worker, before its first request."""
    teardown: Target | None = None
    """A function called once in each worker, when it is asked to exit."""
    path: Folders = ()
    """Folders put in front of sys.path; relative to this file's folder."""
    preload: Modules = ()
    """Modules that are imported before a worker counts as ready."""
    threads: Positive | None = 1
    """How many threads numerical libraries may use in each worker; null sets no limit."""
    reload: Literal["auto", "never"] = "auto"
    """Whether workers reload source files that have changed: auto or never."""


Worker = Annotated[CommandWorkerConfig | PythonWorkerConfig, Field(discriminator="kind")]
