"""The program that is experimented with, and the declarations that are tried on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from processpool.cli.candidates import START, built
from processpool.cli.guesses import last_words
from processpool.cli.session import Session
from processpool.wire.framing.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Way(NamedTuple):
    """How the output of a program is had."""

    name: str
    prefix: tuple[str, ...] = ()
    stdout: str = "pipe"


PLAIN = Way("as it is")
STDBUF = Way("under stdbuf -oL", ("stdbuf", "-oL"))
PTY = Way("with a terminal as its output", stdout="pty")
"""The ways, in the order in which they are tried."""


class Program:
    """A command, and the messages that it is tried with.

    Attributes:
        command: the program and its arguments.
        samples: messages that it should understand.
        tell: is told what is tried, and what is seen.
    """

    def __init__(
        self, command: Sequence[str], samples: Sequence[str], tell: Callable[[str], None]
    ) -> None:
        self.command = tuple(command)
        self.samples = [sample.encode() for sample in samples]
        self.tell = tell

    def worker(self, way: Way) -> dict[str, Any]:
        """Return the `worker` section, without a protocol."""
        worker: dict[str, Any] = {"kind": "command", "command": [*way.prefix, *self.command]}
        if way.stdout != "pipe":
            worker["stdout"] = way.stdout
        return worker

    def spoken(self, name: str) -> dict[str, Any]:
        """Return the worker with a preset as its protocol."""
        preset = PRESETS[name]
        worker: dict[str, Any] = {**self.worker(PLAIN), "protocol": name}
        if preset.env:
            worker["env"] = dict(preset.env)
        if preset.codec != "text":
            worker["codec"] = preset.codec
        return worker

    def declared(
        self, way: Way, banner: bytes, request: str, answer: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the worker with a protocol of its own.

        Args:
            way: how its output is had.
            banner: what it writes at its start.
            request: the template of a request.
            answer: where an answer ends.
        """
        protocol: dict[str, Any] = {}
        if banner:
            with self.session(way) as session:
                again = session.listen(START).stdout
            text = last_words(banner, again)
            if text:
                protocol["start"] = [{"expect": text}]
        if request != "{message}\n":
            protocol["request"] = request
        protocol["answer"] = answer
        return {**self.worker(way), "protocol": protocol}

    def session(self, way: Way) -> Session:
        """Return a new session with the program, which is to be left."""
        worker = {**self.worker(way), "protocol": "lines"}
        return Session(built(worker)[0], terminal=way.stdout == "pty")
