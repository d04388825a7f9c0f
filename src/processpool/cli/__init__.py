"""The command line: `processpool run`, `check` and `schema`.

Two rules hold here. Whatever goes wrong for a reason that lies outside of this package is one
message and an exit status, never a traceback. And nothing is imported before it is needed: typer
when a command runs, tqdm when there is a bar to draw.

    app.py       what may be written on the command line
    running.py   `run`: lines in, answers out
    streams.py   the items of a file or of a stream, through a pool, in order
    files.py     where lines come from, and where answers go
    lines.py     a line of input becomes a message, an answer a line of output
    report.py    answers, failures and the progress bar, side by side
    stopping.py  Ctrl-C, SIGTERM and SIGHUP
    checking.py  `check`: what a file declares, and whether a worker starts
    summary.py   a pool's declaration in a few lines
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that `sys.argv` names, and exit with its status."""
    try:
        from processpool.cli.app import app

        app(prog_name="processpool")
    except KeyboardInterrupt:  # before a command began, or after it had ended
        sys.exit(130)
