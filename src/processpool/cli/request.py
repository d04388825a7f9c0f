"""What the command line asks `processpool run` for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.cli.formats import Format
from processpool.cli.halting import Halt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Request(NamedTuple):
    """What the command line asks for."""

    config: Path | None
    """The YAML file; None if the command line says it all."""
    source: str
    """The file with the messages; `-` for stdin."""
    output: Path | None
    """The file for the answers; None for stdout."""
    pool: str | None
    overrides: Mapping[str, Any]
    progress: bool
    """Whether a progress bar is welcome."""
    command: str | None = None
    protocol: str | None = None
    function: str | None = None
    journal: Path | None = None
    """The file that keeps the answers, so that the same line goes on where it ended."""
    failed: Path | None = None
    """The file for the lines that failed."""
    joblog: Path | None = None
    """The file for when and how long each ran."""
    replay: Path | None = None
    """A file with lines that failed, to be run again."""
    report: Path | None = None
    """The file for the report."""
    halt: Halt = Halt()
    format: Format = Format()
    unordered: bool = False
    null: bool = False
    """Whether a NUL ends a line of the input."""
    echo: bool = False
    """Whether what workers write to stderr is shown."""

    @property
    def end(self) -> bytes:
        """What ends a line of the input."""
        return b"\0" if self.null and self.replay is None else b"\n"
