"""What `processpool --help` says: a short manual page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from processpool.cli.report import say

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION = """\
Keeps long-lived worker processes running, sends them messages, and prints their answers. A worker
is any program in any language, or a Python function. A pool is declared in a YAML file, or by
--command or --function."""
_EXAMPLES = """\
processpool init demo                          a file to start from
seq 5 | processpool run demo.yaml              send it lines
processpool run -j 4 --command 'jq -c .name' people.jsonl
find . -name '*.gz' -print0 | processpool run -0 --function sizes:size --tag
processpool probe -- bc -lq --try 1+1          how a program talks, as YAML
processpool check pool.yaml --start            is the file right, does it start?"""
_STATUSES = (
    ("0", "every item was answered; the file is right"),
    ("1", "an item failed, or the pool could not start"),
    ("2", "the command line or the YAML file is wrong"),
    ("3", "stopped by --halt"),
    ("129, 130, 143", "stopped by SIGHUP, by Ctrl-C, by SIGTERM; the workers have ended"),
    ("141", "the reader of the answers is gone"),
)
_VARIABLES = (
    ("PROCESSPOOL_INLINE=1", "run Python functions in the caller's process, for a debugger"),
    ("PROCESSPOOL_WIDGET=off", "show no widget in notebooks"),
    ("PROCESSPOOL_SLOT, _WORKER, _POOL", "set for each worker: its slot, its number, its pool"),
)
_ELSEWHERE = """\
`processpool help COMMAND`, `processpool schema` for the keys of the file, `processpool presets` for
protocols that have a name, and the documentation, which `make docs` builds."""


class Manual(click.Group):
    """The commands; their help is laid out as a manual page."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Return their names, in the order in which they are defined."""
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page."""
        self._text(formatter, "NAME", "processpool - pools of long-lived worker processes")
        usage = "\n".join(
            [
                "processpool COMMAND [ARGUMENT]...",
                "processpool help COMMAND",
                "processpool --version",
            ]
        )
        self._verbatim(formatter, "SYNOPSIS", usage)
        self._text(formatter, "DESCRIPTION", _DESCRIPTION)
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, each.get_short_help_str(300)) for name, each in commands if each is not None]
        self._rows(formatter, "COMMANDS", rows)
        options = [each.get_help_record(ctx) for each in self.get_params(ctx)]
        self._rows(formatter, "OPTIONS", [row for row in options if row is not None])
        self._rows(formatter, "EXIT STATUS", _STATUSES)
        self._rows(formatter, "ENVIRONMENT", _VARIABLES)
        self._verbatim(formatter, "EXAMPLES", _EXAMPLES)
        self._text(formatter, "SEE ALSO", _ELSEWHERE)

    def _text(self, formatter: Any, heading: str, text: str) -> None:
        formatter.write(f"{heading}\n")
        with formatter.indentation():
            formatter.write_text(" ".join(text.split()))
        formatter.write("\n")

    def _verbatim(self, formatter: Any, heading: str, text: str) -> None:
        lines = [f"  {line}" for line in text.split("\n")]
        formatter.write("\n".join([heading, *lines]) + "\n\n")

    def _rows(self, formatter: Any, heading: str, rows: Sequence[tuple[str, str]]) -> None:
        formatter.write(f"{heading}\n")
        with formatter.indentation():
            formatter.write_dl(rows, col_max=24)
        formatter.write("\n")


def show_help(context: click.Context, name: str | None) -> None:
    """Print the help of one command, or the page about all of them.

    Raises:
        click.BadParameter: there is no such command.
    """
    page: Any = context.parent
    if name is None:
        say(page.get_help().rstrip())
        return
    command = page.command.get_command(page, name)
    if command is None:
        known = ", ".join(page.command.list_commands(page))
        raise click.BadParameter(f"there is no command {name!r}; there are {known}")
    say(command.get_help(click.Context(command, info_name=name, parent=page)))


def show_completion(context: click.Context, _: click.Parameter, shell: str | None) -> None:
    """Print what makes a shell complete options; the callback of an option."""
    if shell is None or context.resilient_parsing:
        return
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None
    command = context.find_root().command
    say(completion(command, {}, "processpool", "_PROCESSPOOL_COMPLETE").source())
    raise click.exceptions.Exit
