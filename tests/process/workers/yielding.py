"""A program under `serve` whose handler yields."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processpool import serve

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


def handle(message: str) -> Any:
    word, _, rest = message.partition(" ")
    return STREAMS[word](rest) if word in STREAMS else message.upper()


def count(rest: str) -> Generator[str, None, str]:
    for n in range(int(rest)):
        yield str(n)
    return "end"


def fail(rest: str) -> Iterator[str]:
    yield from ("0", "1")
    raise ValueError(rest)


def die(rest: str) -> Iterator[str]:
    yield from ("0", "1")
    os.kill(os.getpid(), signal.SIGKILL)


def note(rest: str) -> Iterator[str]:
    """Count for ever, and note how far; the file gets `closed` at the end."""
    path = Path(rest)
    try:
        n = 0
        while True:
            path.write_text(str(n), encoding="ascii")
            yield str(n)
            n += 1
    finally:
        Path(f"{path}.closed").touch()


def slowly(rest: str) -> Iterator[str]:
    for n in range(4):
        time.sleep(float(rest))
        yield str(n)


def printing(rest: str) -> Iterator[str]:
    for n in range(3):
        print(f"[{n}]", end="")
        yield rest


STREAMS = {
    "count": count,
    "fail": fail,
    "die": die,
    "note": note,
    "slowly": slowly,
    "printing": printing,
}

if __name__ == "__main__":
    serve(handle)
