"""A handler that does what it is told, in the words of `puppet.py`: every message is Python code.

As a module it is the handler of Python workers; as a program, a worker under `serve`, which first
runs the code that its arguments are.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

_said: list[str] = []


def answer(data: Any = "") -> None:
    """Let this be the answer."""
    _said.append(str(data))


def err(data: Any) -> None:
    """Write to stderr."""
    os.write(2, str(data).encode())


def wait(path: str) -> None:
    """Wait at a gate until it is opened."""
    with open(path, "rb") as fifo:
        fifo.read()


def die(number: int = signal.SIGKILL) -> None:
    """End by a signal."""
    os.kill(os.getpid(), number)
    time.sleep(60)


_names: dict[str, Any] = {
    "answer": answer, "err": err, "wait": wait, "die": die,
    "os": os, "signal": signal, "sys": sys, "time": time,
}  # fmt: skip


def handle(message: str) -> str:
    """Run the code; what it names for an answer is the answer."""
    _said.clear()
    exec(message, _names)
    return "".join(_said)


if __name__ == "__main__":
    from processpool import serve

    for statement in sys.argv[1:]:
        exec(statement, _names)
    serve(handle)
