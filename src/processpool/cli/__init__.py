"""The command line: `processpool run`, `check`, `probe` and the others.

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
    presets.py   `presets`: the protocols that have a name
    trying.py    `check --try`: what passes between the pool and one worker
    probing.py   `probe`: how a program talks, found out by experiment
    guesses.py   where answers end; idioms.py: how a program says a mark
    dialogue.py  a program and the protocol that it is believed to speak
    session.py   a program, driven by hand
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command that `sys.argv` names, and exit with its status."""
    _hold_standard_descriptors()
    try:
        from processpool.cli.app import app

        app(prog_name="processpool")
    except KeyboardInterrupt:  # before a command began, or after it had ended
        sys.exit(130)


def _hold_standard_descriptors() -> None:
    """Let 0, 1 and 2 be what they should be, or of no use: never a descriptor of a pool."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:  # the lowest free one is opened: this one; and it cannot be used
            os.open(os.devnull, os.O_RDONLY if fd else os.O_WRONLY)
