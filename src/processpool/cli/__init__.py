"""The command line: `processpool run`, `check`, `probe` and the others.

Two rules hold here. Every failure that is not a bug of this package is reported as one message and
an exit status, never as a traceback. And modules are imported when they are needed: click when a
command runs, tqdm when there is a progress bar.

    app.py       the commands, their arguments and options
    manual.py    what `--help` says, and `help`
    options.py   the arguments and options of `run`
    request.py   what they ask for
    declaring.py the pool of a run, from a file or from the command line alone
    formats.py   the output formats of answers
    logs.py      the files of failed lines and of times
    halting.py   `--halt`
    echoing.py   `--echo`
    hints.py     what is said once: relative paths, `pipeline`
    starting.py  `init`: writes a YAML file to start from
    journals.py  `journal`: shows the contents of a journal
    running.py   `run`: reads lines, writes answers
    streams.py   sends the lines of a file or a stream through a pool, in order
    files.py     the input and output files
    lines.py     conversion of input lines to messages, and of answers to output lines
    report.py    output of answers, failures and the progress bar
    stopping.py  Ctrl-C, SIGTERM and SIGHUP
    checking.py  `check`: validates a file, and optionally starts a worker
    presets.py   `presets`: lists the presets, or prints one as YAML
    summary.py   the summary of a pool's declaration
    trying.py    `check --try`: shows what passes between the pool and one worker
    probing.py   `probe`: finds out by experiment how a program talks
    candidates.py  declarations that may fit a program, and whether they do
    guesses.py   where answers end; idioms.py: how a program says a mark
    dialogue.py  a program and the protocol that it is believed to speak
    session.py   a program, driven by hand
"""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command that `sys.argv` names, and exit with its status."""
    _occupy_standard_descriptors()
    gc.disable()  # a tenth of the start: nothing of all that is imported is garbage
    try:
        from processpool.cli.app import app

        app(prog_name="processpool")
    except KeyboardInterrupt:  # before a command installed its handler, or after it
        sys.exit(130)


def _occupy_standard_descriptors() -> None:
    """Open the null device on each of 0, 1 and 2 that is closed.

    Otherwise a descriptor of a pool would get that number, and be taken for a standard stream. The
    null device is opened in the wrong direction, so that reading or writing it still fails.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:  # closed; `open` uses the lowest free number, which is this one
            os.open(os.devnull, os.O_RDONLY if fd else os.O_WRONLY)
    if sys.stderr is None:  # `print` would write to stdout instead, among the answers
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
