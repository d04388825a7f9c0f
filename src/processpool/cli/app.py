"""What may be written on the command line, and where it leads.

Exit statuses: 0 if all is well, 1 if an item failed or the pool could not do its work, 2 if the
command line or the YAML file is wrong, 130, 143 and 129 after SIGINT, SIGTERM and SIGHUP, 141 if
whoever read the answers is gone.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processpool.cli.report import FAILED, complain, say
from processpool.cli.stopping import Stopped
from processpool.errors import ConfigError, ProcessPoolError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRY = "--try"
WRONG = 2
"""Exit status: the command line or the file is wrong."""

app = typer.Typer(
    help="Pools of long-lived worker processes, declared in YAML.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[Path, typer.Argument(help="The YAML file.", metavar="CONFIG")]
Pool = Annotated[
    str | None, typer.Option("--pool", metavar="NAME", help="Which of several pools in the file.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another value for one key, such as size.max=8; may be repeated.",
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"processpool {version('processpool')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Print the version, and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    config: Config,
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="The messages, one a line; - is stdin.")
    ] = "-",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Where the answers go, if not stdout."),
    ] = None,
    pool: Pool = None,
    settings: Set = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The longest that one item may take: 500ms, 30s, 2m."),
    ] = None,
    progress: Annotated[
        bool,
        typer.Option("--progress/--no-progress", help="A progress bar, if stderr is a terminal."),
    ] = True,
) -> None:
    """Send each line of the input to a pool, and print the answers in the order of the lines.

    A line is one message: text or bytes without the newline, or a JSON value, as the pool's codec
    says. An item that fails is named on stderr, counted from 0, and costs only itself; the exit
    status is then 1.
    """
    from processpool.cli.files import STREAM
    from processpool.cli.running import Request, run_pool

    with _problems_told():
        overrides = _overrides(settings)
        if timeout is not None:
            overrides["timeouts.request"] = _value(timeout)
        target = None if output in (None, Path(STREAM)) else output
        status = run_pool(Request(config, source, target, pool, overrides, progress))
    raise typer.Exit(status)


@app.command(context_settings={"ignore_unknown_options": True})
def check(
    config: Config,
    settings: Set = None,
    pool: Pool = None,
    start: Annotated[
        bool, typer.Option("--start", help="Start one worker of each pool as well, and end it.")
    ] = False,
    tried: Annotated[
        list[str] | None,
        typer.Option(
            "--try", metavar="MESSAGE", help="Ask one worker this, and show what passes as bytes."
        ),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[MESSAGE]...", help="More messages to try.")
    ] = None,
) -> None:
    """Validate a YAML file, say what it declares, and look for the programs that it names."""
    from processpool.cli.checking import check_file

    if more and not tried:
        raise typer.BadParameter(f"{more[0]!r} is too much: messages come after --try")
    messages = [*(tried or []), *(more or [])]
    with _problems_told():
        status = check_file(config, pool, _overrides(settings), start=start, messages=messages)
    raise typer.Exit(status)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the YAML file, for editors."""
    import json

    from processpool.config import json_schema

    say(json.dumps(json_schema(), indent=2))


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def probe(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="-- CMD [ARG]... --try MESSAGE...",
            help="The program with its arguments, then messages that it should answer.",
        ),
    ],
) -> None:
    """Find out by experiment how a program talks, and print the YAML for it.

    What is tried and seen goes to stderr. The program is started several times, and gets the
    messages and others: choose messages that do no harm.
    """
    from processpool.cli.probing import Probing, Unknown, write_yaml

    at = words.index(_TRY) if _TRY in words else len(words)
    command, messages = words[:at], [word for word in words[at + 1 :] if word != _TRY]
    if not command or not messages:
        raise typer.BadParameter("must be -- CMD [ARG]... --try MESSAGE...")
    with _problems_told():
        try:
            worker = Probing(command, messages, complain).find()
        except Unknown as error:
            complain(str(error))
            raise typer.Exit(FAILED) from None
        say("\n".join(write_yaml(worker)))


@app.command()
def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The one to print as YAML.")
    ] = None,
) -> None:
    """List the protocols that have a name, or print one as a YAML file to start from."""
    from processpool.cli.presets import list_presets, show_preset

    with _problems_told():
        say("\n".join(list_presets() if name is None else show_preset(name)))


@contextmanager
def _problems_told() -> Iterator[None]:
    """Turn what users can mend into a message and an exit status."""
    try:
        yield
    except ConfigError as error:
        complain(str(error))
        raise typer.Exit(WRONG) from None
    except Stopped as error:
        complain(str(error))
        raise typer.Exit(error.status) from None
    except ProcessPoolError as error:
        complain(f"{type(error).__name__}: {error}")
        raise typer.Exit(FAILED) from None


def _overrides(settings: list[str] | None) -> dict[str, Any]:
    overrides = {}
    for setting in settings or []:
        key, equals, text = setting.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"must be KEY=VALUE, such as size.max=8, got {setting!r}")
        overrides[key] = text if key.startswith("worker.env.") else _value(text)
    return overrides


def _value(text: str) -> Any:
    """The value that `text` would be in the file."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise typer.BadParameter(f"{text!r} is not a value in YAML") from None
