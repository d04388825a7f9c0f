"""The `worker` section: what a worker process is.

Two rules hold here. `kind` decides which keys there are. And every path is absolute once it is
read: relative to the file's folder, or in Python to the current one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler

from processpool.config.fields import (
    Command,
    Env,
    Environment,
    Folder,
    Folders,
    Inherited,
    Modules,
    Positive,
    PositiveSize,
    Target,
)
from processpool.config.section import Section

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

_HERE = Path(".")
_GIB = 1 << 30


class ProtocolConfig(Section):
    """How a message ends, and how many may be under way to one worker."""

    kind: Literal["framed", "lines"] = "framed"
    """framed: each message carries its length. lines: each message is one line."""
    pipeline: Positive = 1
    """Requests that a worker may be sent before it has answered the first."""
    max_message: PositiveSize = _GIB
    """The longest answer that is accepted, in bytes."""


def _long_form(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


class _ShortForm:
    """Lets editors accept `protocol: lines` beside the mapping."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        kinds = list(get_args(ProtocolConfig.model_fields["kind"].annotation))
        return {"anyOf": [{"type": "string", "enum": kinds}, handler(core)]}


Protocol = Annotated[ProtocolConfig, BeforeValidator(_long_form), _ShortForm()]


class _WorkerConfig(Section):
    """What both kinds of worker have."""

    cwd: Folder = Field(default=_HERE, validate_default=True)
    """The folder a worker runs in; relative to this file's folder, which is the default."""
    env: Env = Field(default_factory=lambda: Environment({}))
    """Environment variables of a worker. Their values never show anywhere."""
    inherit_env: Inherited = True
    """Whether a worker also gets the pool's own environment: all, nothing, or these names."""


class CommandWorkerConfig(_WorkerConfig):
    """Any program that reads messages from its input and writes answers to its output."""

    kind: Literal["command"]
    """command: any program, in any language."""
    command: Command
    """The program and its arguments: a list, or a string that is split as a shell would."""
    protocol: Protocol = ProtocolConfig()
    """How a message ends: framed or lines; or a mapping with kind, pipeline and max_message."""
    codec: Literal["text", "bytes", "json"] = "text"
    """What a message is in Python: str in UTF-8, bytes, or whatever JSON holds."""


class PythonWorkerConfig(_WorkerConfig):
    """A Python interpreter that calls functions."""

    kind: Literal["python"]
    """python: Python functions."""
    handler: Target | None = None
    """The function that answers a message, as package.module:attribute."""
    setup: Target | None = None
    """Called once in each worker, before its first request."""
    teardown: Target | None = None
    """Called once in a worker that is told to exit."""
    path: Folders = ()
    """Folders put in front of sys.path; relative to this file's folder."""
    preload: Modules = ()
    """Modules that are imported before a worker counts as ready."""
    threads: Positive | None = 1
    """Threads that numerical libraries may use in each worker; null leaves them alone."""
    reload: Literal["auto", "never"] = "auto"
    """Whether workers take over changed source files: auto or never."""


Worker = Annotated[CommandWorkerConfig | PythonWorkerConfig, Field(discriminator="kind")]
