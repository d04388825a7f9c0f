"""What may be written on the command line, and where it leads.

Exit statuses: 0 if all is well, 1 if an item failed or the pool could not do its work, 2 if the
command line or the YAML file is wrong, 3 if `--halt` has stopped the run, 130, 143 and 129 after
SIGINT, SIGTERM and SIGHUP, 141 if whoever read the answers is gone.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import Exit

from processpool.cli.manual import Manual, show_completion, show_help
from processpool.cli.options import POOL, RUN, SETTINGS, Argument, option, path
from processpool.cli.report import ANSWERED, FAILED, complain, say
from processpool.cli.stopping import Stopped
from processpool.errors import ConfigError, ProcessPoolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STREAM = "-"
"""Stands for stdin, or stdout."""
_TRY = "--try"
WRONG = 2
"""Exit status: the command line or the file is wrong."""


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version

        say(f"processpool {version('processpool')}")
        raise Exit


@click.group(
    cls=Manual,
    help="Pools of long-lived worker processes, declared in YAML.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    params=[
        option(
            "--version",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version, and exit.",
        ),
        option(
            "--show-completion",
            type=click.Choice(["bash", "zsh", "fish"]),
            is_eager=True,
            expose_value=False,
            callback=show_completion,
            help="Print what makes a shell complete options, for its start file.",
        ),
    ],
)
def app() -> None:
    """All commands."""


_EXAMPLES = """\b
Examples:
  processpool run pool.yaml messages.txt -o answers.txt
  find . -name '*.gz' -print0 | processpool run -0 --function sizes:size -j 4 --tag
  processpool run pool.yaml big.txt --journal big.journal --failed failed.jsonl
"""


@app.command(epilog=_EXAMPLES, params=[*RUN])
def run(
    config: Path | None,
    source: str | None,
    output: Path | None,
    pool: str | None,
    settings: Sequence[str],
    timeout: str | None,
    progress: bool,
    journal: Path | None,
    failed: Path | None,
    replay: Path | None,
    joblog: Path | None,
    report: Path | None,
    details: bool,
    tag: bool,
    blank_failed: bool,
    unordered: bool,
    halt: str | None,
    null: bool,
    jobs: int | None,
    echo: bool,
    command: str | None,
    protocol: str | None,
    function: str | None,
) -> None:
    """Send each line of the input to a pool, and print the answers in the order of the lines.

    A line is one message: text or bytes without the newline, or a JSON value, as the pool's codec
    says. An item that fails is named on stderr by its line, and costs only itself; the exit status
    is then 1.
    """
    from processpool.cli.formats import Format
    from processpool.cli.halting import Halt
    from processpool.cli.request import Request
    from processpool.cli.running import run_pool

    with _problems_told():
        config, source = _sorted_out(config, source, command, protocol, function)
        if replay is not None and source is not None:
            raise ConfigError(f"--replay takes the place of INPUT: leave out {source}")
        target = None if output in (None, Path(STREAM)) else output
        request = Request(
            config, source or STREAM, target, pool, _all_overrides(settings, timeout, jobs),
            progress, command, protocol, function, journal, failed, joblog, replay, report,
            Halt.parse(halt), Format(details, tag, blank_failed), unordered, null, echo,
        )  # fmt: skip
        status = run_pool(request)
    raise Exit(status)


def _all_overrides(
    settings: Sequence[str], timeout: str | None, jobs: int | None
) -> dict[str, Any]:
    overrides = _overrides(settings)
    if timeout is not None:
        overrides["timeouts.request"] = _timeout(timeout)
    if jobs is not None:
        overrides |= {"size.max": jobs, "size.min": min(jobs, 1)}
    return overrides


def _timeout(text: str) -> Any:
    from processpool.config.units import parse_duration

    value = _value(text)
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise ConfigError(f"--timeout {error}, got {text!r}") from None


def _sorted_out(
    config: Path | None,
    source: str | None,
    command: str | None,
    protocol: str | None,
    function: str | None,
) -> tuple[Path | None, str | None]:
    """Return the YAML file and the input, if they are given.

    Raises:
        ConfigError: the arguments contradict each other.
    """
    if command is not None and function is not None:
        raise ConfigError("--command and --function are two ways to say what is run: give one")
    if protocol is not None and command is None:
        raise ConfigError("--protocol says how --command talks; a YAML file says that itself")
    if command is None and function is None:
        if config is None:
            raise ConfigError("name the YAML file, or give --command or --function")
        return config, source
    if source is not None:
        raise ConfigError(f"with --command or --function there is no YAML file: leave out {config}")
    return None, None if config is None else str(config)


@app.command(params=[Argument("name", "What it is called; default: pool.", required=False)])
def init(name: str | None) -> None:
    """Write a commented YAML file that works, to start from."""
    from processpool.cli.starting import write_file

    with _problems_told():
        path = write_file(name)
        say(f"{path} is written; try it: seq 5 | processpool run {path}")


@app.command(
    params=[
        path("file", "The journal of a run."),
        option(
            "--export",
            type=click.Choice(["json"]),
            metavar="json",
            help="Print its records, as JSON lines, instead.",
        ),
    ]
)
def journal(file: Path, export: str | None) -> None:
    """Show what is in the journal of a run: how many items were answered, and what failed."""
    from processpool.cli.journals import export_journal, show_journal

    with _problems_told():
        if export is None:
            show_journal(file)
        else:
            export_journal(file)


@app.command(
    context_settings={"ignore_unknown_options": True},
    params=[
        path("config", "The YAML file."),
        SETTINGS,
        POOL,
        option("--start", is_flag=True, help="Start one worker of each pool as well, and end it."),
        option(
            _TRY,
            "tried",
            multiple=True,
            metavar="MESSAGE",
            help="Ask one worker this, and show what passes as bytes.",
        ),
        Argument(
            "more",
            "More files; behind --try, more messages.",
            nargs=-1,
            metavar="[CONFIG | MESSAGE]...",
        ),
    ],
)
def check(
    config: Path,
    settings: Sequence[str],
    pool: str | None,
    start: bool,
    tried: Sequence[str],
    more: Sequence[str],
) -> None:
    """Validate YAML files, say what they declare, and look for the programs that they name."""
    from processpool.cli.checking import check_file

    strange = [] if tried else [word for word in more if not Path(word).exists()]
    if strange:
        raise click.BadParameter(f"there is no file {strange[0]!r}; messages come after --try")
    messages = [*tried, *more] if tried else []
    files = [config] if tried else [config, *map(Path, more)]
    overrides = _overrides(settings)
    statuses = [ANSWERED]
    for file in files:  # each to its end: what is wrong with one says nothing about the next
        try:
            with _problems_told():
                statuses.append(check_file(file, pool, overrides, start=start, messages=messages))
        except Exit as wrong:
            statuses.append(wrong.exit_code)
    raise Exit(max(statuses))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the YAML file, for editors."""
    import json

    from processpool.config import json_schema

    say(json.dumps(json_schema(), indent=2))


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    params=[
        Argument(
            "words",
            "The program with its arguments, then messages that it should answer.",
            nargs=-1,
            required=True,
            type=click.UNPROCESSED,
            metavar="-- CMD [ARG]... --try MESSAGE...",
        )
    ],
)
def probe(words: Sequence[str]) -> None:
    """Find out by experiment how a program talks, and print the YAML for it.

    What is tried and seen goes to stderr. The program is started several times, and gets the
    messages and others: choose messages that do no harm.
    """
    from processpool.cli.probing import Probing, Unknown, write_yaml
    from processpool.cli.stopping import stoppable

    at = words.index(_TRY) if _TRY in words else len(words)
    command, messages = words[:at], [word for word in words[at + 1 :] if word != _TRY]
    if not command or not messages:
        raise click.BadParameter("must be -- CMD [ARG]... --try MESSAGE...")
    with _problems_told(), stoppable():  # what was started is ended
        try:
            worker = Probing(command, messages, complain).find()
        except Unknown as error:
            complain(str(error))
            raise Exit(FAILED) from None
        say("\n".join(write_yaml(worker)))


@app.command(params=[Argument("name", "The one to print as YAML.", required=False)])
def presets(name: str | None) -> None:
    """List the protocols that have a name, or print one as a YAML file to start from."""
    from processpool.cli.presets import list_presets, show_preset

    with _problems_told():
        say("\n".join(list_presets() if name is None else show_preset(name)))


@app.command("help", params=[Argument("command", "The command to explain.", required=False)])
@click.pass_context
def help_(context: click.Context, command: str | None) -> None:
    """Explain a command, or all of them in short."""
    show_help(context, command)


@contextmanager
def _problems_told() -> Iterator[None]:
    """Turn what users can mend into a message and an exit status."""
    try:
        yield
    except ConfigError as error:
        complain(str(error))
        raise Exit(WRONG) from None
    except Stopped as error:
        complain(str(error))
        raise Exit(error.status) from None
    except ProcessPoolError as error:
        complain(f"{type(error).__name__}: {error}")
        raise Exit(FAILED) from None


def _overrides(settings: Sequence[str]) -> dict[str, Any]:
    overrides = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"must be KEY=VALUE, such as size.max=8, got {setting!r}")
        overrides[key] = text if key.startswith("worker.env.") else _value(text)
    return overrides


def _value(text: str) -> Any:
    """The value that `text` would be in the file."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise click.BadParameter(f"{text!r} is not a value in YAML") from None
