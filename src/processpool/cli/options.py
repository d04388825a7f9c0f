"""The arguments and options of `processpool run`, one after another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def _file(name: str, text: str) -> Any:
    return typer.Option(name, metavar="FILE", help=text)


ConfigOrInput = Annotated[
    Path | None,
    typer.Argument(
        help="The YAML file; with --command or --function, the INPUT.", metavar="CONFIG"
    ),
]
Input = Annotated[
    str | None, typer.Argument(metavar="INPUT", help="The messages, one a line; - is stdin.")
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="OUT", help="Where the answers go, if not stdout."),
]
Timeout = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="The longest that one item may take: 500ms, 30s, 2m."),
]
Progress = Annotated[
    bool,
    typer.Option("--progress/--no-progress", help="A progress bar, if stderr is a terminal."),
]
Journal = Annotated[
    Path | None, _file("--journal", "Keep the answers; run the same line again to go on.")
]
Failed = Annotated[Path | None, _file("--failed", "Write down what failed, as JSON lines.")]
Replay = Annotated[Path | None, _file("--replay", "Run what --failed has written down, as INPUT.")]
Joblog = Annotated[
    Path | None, _file("--joblog", "Write down when each ran, as GNU parallel does.")
]
ReportFile = Annotated[
    Path | None, _file("--report", "Write a page that says what failed and where the time went.")
]
Details = Annotated[
    bool, typer.Option("--details", help="Answers as JSON lines with all that is known.")
]
Tag = Annotated[bool, typer.Option("--tag", help="Each answer behind its input and a tab.")]
BlankFailed = Annotated[
    bool, typer.Option("--blank-failed", help="An empty line for each item that fails.")
]
Unordered = Annotated[bool, typer.Option("--unordered", help="Answers as they come, not in order.")]
HaltAt = Annotated[
    str | None, typer.Option(metavar="N", help="Stop when so many have failed: 3, or 5%.")
]
Null = Annotated[bool, typer.Option("-0", "--null", help="A NUL ends each line: for find -print0.")]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", metavar="N", min=1, help="Workers at most: size.max."),
]
Echo = Annotated[
    bool, typer.Option("--echo", help="Show what workers write to stderr, as it comes.")
]
Command = Annotated[
    str | None, typer.Option(metavar="'...'", help="The program to run, without a YAML file.")
]
Protocol = Annotated[
    str | None, typer.Option(metavar="NAME", help="How --command talks; default: lines.")
]
Function = Annotated[
    str | None,
    typer.Option(metavar="MODULE:NAME", help="The function to call, without a YAML file."),
]
