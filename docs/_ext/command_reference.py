"""The directive `command`: the arguments and options of a command, taken from the program itself.

    ```{command} run
    ```

A command that no page shows is a warning.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from processpool.cli.app import app as program

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

_LOGGER = logging.getLogger(__name__)
_SHOWN: set[str] = set()


def commands() -> dict[str, Any]:
    """Return the commands of the program by their names."""
    return dict(program.commands)


def describe(command: Any) -> str:
    """Return the Markdown of a command: its usage, what it does, and what it takes."""
    context = command.make_context(command.name, [], resilient_parsing=True)
    context.info_name = f"processpool {command.name}"
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f"```text\nprocesspool {command.name} {usage}\n```",
        "",
        inspect.cleandoc(command.help),
    ]
    rows = [row for row in map(_row, command.get_params(context)) if row is not None]
    if rows:
        lines += ["", "| | |", "| --- | --- |", *rows]
    return "\n".join(lines)


def _row(parameter: Any) -> str | None:
    if "--help" in parameter.opts:
        return None
    names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar or parameter.human_readable_name}`"
    elif parameter.secondary_opts:
        names += " / " + ", ".join(f"`{name}`" for name in parameter.secondary_opts)
    elif parameter.metavar:
        names = names[:-1] + f" {parameter.metavar}`"
    return f"| {names} | {parameter.help or ''} |"


class Command(SphinxDirective):
    """What one command takes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the usage, the text and the table of a command."""
        (name,) = self.arguments
        _SHOWN.add(name)
        return self.parse_text_to_nodes(describe(commands()[name]))


def check_all_shown(app: Sphinx, env: Any) -> None:
    """Warn of commands that no page shows."""
    for name in sorted(commands().keys() - _SHOWN):
        _LOGGER.warning("no page shows the command %r", name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("command", Command)
    app.connect("env-check-consistency", check_all_shown)
    return {"parallel_read_safe": False}
