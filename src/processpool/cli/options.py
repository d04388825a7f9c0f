"""The arguments and options of the commands: all those of `run`, and what several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATH = click.Path(path_type=Path)


class Argument(click.Argument):
    """An argument that is explained in the help, also where click itself does not do that."""

    def __init__(self, name: str, about: str, **options: Any) -> None:
        super().__init__([name], **options)
        self.help = about

    def make_metavar(self, *_: Any) -> str:
        """Return it as the usage shows it: in brackets if it may be left out."""
        name = self.human_readable_name
        return name if self.required or name.startswith("[") else f"[{name}]"

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return its row in the help."""
        return self.human_readable_name, self.help or ""


class WholeNumber(click.IntRange):
    """A number of something; the name is what errors call it."""

    name = "whole number"


def option(*names: str, **options: Any) -> click.Option:
    """Return an option; a name without dashes is that of the function's parameter."""
    return click.Option(names, **options)


def path(name: str, about: str, **options: Any) -> Argument:
    """Return an argument that is a path."""
    return Argument(name, about, type=_PATH, **options)


def _file(name: str, about: str) -> click.Option:
    return option(name, type=_PATH, metavar="FILE", help=about)


def _flag(*names: str, about: str) -> click.Option:
    return option(*names, is_flag=True, help=about)


POOL = option("--pool", metavar="NAME", help="Which of several pools in the file.")
SETTINGS = option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another value for one key, such as size.max=8; may be repeated.",
)
RUN: Sequence[click.Parameter] = (
    path("config", "The YAML file; with --command or --function, the INPUT.", required=False),
    Argument("source", "The messages, one a line; - is stdin.", required=False, metavar="INPUT"),
    option(
        "--output", "-o", type=_PATH, metavar="OUT", help="Where the answers go, if not stdout."
    ),
    POOL,
    SETTINGS,
    option(
        "--timeout",
        metavar="TIME",
        help="The longest that one item may take: 500ms, 30s, 2m.",
    ),
    option(
        "--progress/--no-progress", default=True, help="A progress bar, if stderr is a terminal."
    ),
    _file("--journal", "Keep the answers; run the same line again to go on."),
    _file("--failed", "Write down what failed, as JSON lines."),
    _file("--replay", "Run what --failed has written down, as INPUT."),
    _file("--joblog", "Write down when each ran, as GNU parallel does."),
    _file("--report", "Write a page that says what failed and where the time went."),
    _flag("--details", about="Answers as JSON lines with all that is known."),
    _flag("--tag", about="Each answer behind its input and a tab."),
    _flag("--blank-failed", about="An empty line for each item that fails."),
    _flag("--unordered", about="Answers as they come, not in order."),
    option("--halt", metavar="N", help="Stop when so many have failed: 3, or 5%."),
    _flag("-0", "--null", about="A NUL ends each line: for find -print0."),
    option("--jobs", "-j", type=WholeNumber(min=1), metavar="N", help="Workers at most: size.max."),
    _flag("--echo", about="Show what workers write to stderr, as it comes."),
    option("--command", metavar="'...'", help="The program to run, without a YAML file."),
    option("--protocol", metavar="NAME", help="How --command talks; default: lines."),
    option("--function", metavar="MODULE:NAME", help="The function to call, without a YAML file."),
)
"""In the order of the help."""
