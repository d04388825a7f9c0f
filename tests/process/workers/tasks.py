"""What the workers of the contract tests do, whatever kind of worker they are."""

from __future__ import annotations

import os
import signal
import sys


def handle(message: str) -> str:
    """Do what the first word of the message says with the rest of it."""
    word, _, rest = message.partition(" ")
    return _TASKS[word](rest)


def _echo(rest: str) -> str:
    return rest


def _pid(rest: str) -> str:
    return str(os.getpid())


def _wait(rest: str) -> str:
    """Wait at a gate; see `Gate` in the tests' support."""
    with open(rest, "rb") as fifo:
        fifo.read()
    return "passed"


def _note(rest: str) -> str:
    """Leave a line in a file: path, then what to write."""
    path, _, text = rest.partition(" ")
    with open(path, "a", encoding="utf-8") as file:
        file.write(text + "\n")
    return text


def _say(rest: str) -> str:
    """Write to stderr, then answer."""
    print(rest, file=sys.stderr, flush=True)
    return "said"


def _die(rest: str) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "not dead"


def _exit(rest: str) -> str:
    os._exit(int(rest or 0))


_TASKS = {
    "echo": _echo,
    "pid": _pid,
    "wait": _wait,
    "note": _note,
    "say": _say,
    "die": _die,
    "exit": _exit,
}
