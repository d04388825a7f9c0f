"""A foreign program that does what it is told: every message is Python code, which it runs.

It speaks the framed protocol by itself, or that of lines when started with the argument `lines`.
The code finds `answer`, `raw`, `err`, `wait`, and the modules imported here. What it does not
answer stays unanswered.
"""

import os
import signal
import sys
import time

LINES = sys.argv[1:2] == ["lines"]
for statement in sys.argv[2:]:
    exec(statement)


def answer(data: object = b"") -> None:
    """Answer with text or bytes."""
    payload = data if isinstance(data, bytes) else str(data).encode()
    raw(payload + b"\n" if LINES else b"%d;%b" % (len(payload), payload))


def raw(data: bytes) -> None:
    """Write bytes to stdout as they are."""
    write(1, data)


def err(data: object) -> None:
    """Write to stderr."""
    write(2, data if isinstance(data, bytes) else str(data).encode())


def write(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def wait(path: str) -> None:
    """Wait at a gate until it is opened."""
    with open(path, "rb") as fifo:
        fifo.read()


def die(number: int = signal.SIGKILL) -> None:
    """End by a signal."""
    os.kill(os.getpid(), number)
    time.sleep(60)


def requests() -> object:
    """Every message, until the exit message or the end of stdin."""
    stdin = sys.stdin.buffer
    while header := stdin.readline():
        if LINES:
            yield header[:-1]
        elif header == b"0;\n":
            return
        else:
            yield stdin.read(int(header[2:]))


for message in requests():  # type: ignore[attr-defined]
    exec(message)
