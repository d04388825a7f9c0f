"""The programs that the benchmarks drive, each told twice: to our pool and to a bare loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.php_pool import php_worker
from benchmarks.pools import command_pool, python_echo

WIDTH = 16
"""Characters of a message, and of its answer."""


@dataclass(frozen=True)
class Program:
    """A program that echoes: how to start it, and what one message and its answer look like."""

    command: list[str]
    protocol: str
    prefix: str = ""
    """What the program wants in front of the text that it echoes."""

    def message(self, number: int) -> str:
        """A message of its own for each number, all of the same length."""
        return f"{self.prefix}{number:0{WIDTH}}"

    def text(self, message: str) -> str:
        """The answer to a message."""
        return message.removeprefix(self.prefix)

    @property
    def request(self) -> bytes:
        """A message as it crosses the pipe."""
        data = self.message(0).encode()
        return data + b"\n" if self.protocol == "lines" else b"1;%d\n%b" % (len(data), data)

    @property
    def answer_size(self) -> int:
        """Bytes of an answer as it crosses the pipe."""
        return WIDTH + 1 if self.protocol == "lines" else WIDTH + len(f"{WIDTH};")

    def pool(self, workers: int, pipeline: int = 1, codec: str = "text") -> Any:
        """A pool of ours of so many workers, not yet opened."""
        worker = {
            "kind": "command",
            "command": self.command,
            "protocol": {"kind": self.protocol, "pipeline": pipeline},
            "codec": codec,
        }
        return command_pool("programs", worker, workers)


def program(name: str) -> Program:
    """Return the program called `cat`, `serve` or `php`."""
    if name == "cat":
        return Program(["cat"], "lines")
    if name == "serve":
        return Program(python_echo(), "framed")
    if name == "php":
        return Program(php_worker(), "framed", "echo ")
    raise ValueError(f"no program is called {name!r}")
