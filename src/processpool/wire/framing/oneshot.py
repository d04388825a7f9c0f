"""A process for each message: the message is its input, or an argument; the answer is its output.

Two rules hold here. Nothing that arrives completes an answer: the end of the process does. And an
argument is sent to a shell that stands ready in the program's place, which puts it into the command
line and becomes the program; it is in no script, so there is nothing in it to be interpreted.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from processpool.errors import CodecError
from processpool.wire.framing.declared_framing import DeclaredFraming

if TYPE_CHECKING:
    from collections.abc import Iterable

    from processpool.errors import ProtocolError
    from processpool.wire.framing.declaration import Declaration

MESSAGE = "{message}"
END = b"."
"""Behind an argument: without it, the shell's input has ended for another reason; and the shell
takes away newlines that nothing follows."""
LONGEST_ARGUMENT = 128 * 1024 - 1
"""Bytes of one argument that Linux accepts, at most."""
_SPAN = (
    "IFS= read -r TRACEPARENT || exit; "
    "case $TRACEPARENT in ?*) export TRACEPARENT;; *) unset TRACEPARENT;; esac"
)
_WAIT = "m=$(cat) && case $m in *.) m=${m%.};; *) exit;; esac && exec"


class OneshotFraming(DeclaredFraming):
    """Collects what one process writes until it ends."""

    advice = (
        "a program that does not wait for its input cannot be started before it is needed: "
        "put {message} into worker.command, and it is started with that"
    )

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        self._is_argument = declaration.oneshot == "argument"
        if self._is_argument:
            self.encode = self._argument  # type: ignore[method-assign]

    def _argument(self, payload: bytes) -> tuple[bytes, ...]:
        """Return a message as the shell takes it; raise `CodecError` if it is no argument."""
        argument = b"".join(DeclaredFraming.encode(self, payload))
        if b"\0" in argument:
            raise CodecError(
                f"the message must not hold a NUL, as it does at byte {argument.index(0)}: "
                "{message} in worker.command makes it an argument"
            )
        if len(argument) > LONGEST_ARGUMENT:
            raise CodecError(
                f"the message has {len(argument)} bytes, and an argument at most "
                f"{LONGEST_ARGUMENT}; without {{message}} in worker.command it is the input instead"
            )
        return (argument + END,)

    def _messages(self, data: bytes) -> list[bytes]:
        self._keep(data)
        if self._size > self._max:
            self._refuse(self._kept())
        return []

    def finish(self) -> bytes:
        """Return all that has come."""
        return self._kept()

    def eof(self) -> ProtocolError | None:
        """Return what is wrong if stdout ends here: nothing, if it was not too long."""
        return self.error

    @property
    def is_clean(self) -> bool:
        """True unless there is too much of it."""
        return self.error is None


def waiting_shell(
    program: str, arguments: Iterable[str], *, traced: bool = False
) -> tuple[str, ...]:
    """Return a command that waits for an argument, and then becomes the program.

    If `traced`, a line comes before it: the span that the item is below, or nothing.
    """
    words = [shlex.quote(program), *map(_with_argument, arguments)]
    script = f"{_WAIT} {' '.join(words)}"
    return ("/bin/sh", "-c", f"{_SPAN}; {script}" if traced else script)


def traced_shell(program: str, arguments: Iterable[str]) -> tuple[str, ...]:
    """Return a command that waits for the line with the span, and then becomes the program."""
    return ("/bin/sh", "-c", f"{_SPAN}; exec {shlex.join([program, *arguments])}")


def _with_argument(word: str) -> str:
    return '"$m"'.join(map(shlex.quote, word.split(MESSAGE)))
