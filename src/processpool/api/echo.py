"""`echo=True`: shows what items print while they run, on the thread that waits for their answers.

Only whole lines are shown, with control characters escaped. Of a line that is rewritten with
carriage returns, as progress bars do, only the last version is shown. What a stream does not take
is lost, and the map goes on.
"""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from processpool.system.text import escape_control

if TYPE_CHECKING:
    from typing import TextIO

MAX_PIECES = 10_000
"""The most pieces of output in the queue; older ones are dropped."""


class Echo:
    """A queue of output, from the thread that reads it to the thread that consumes the map."""

    def __init__(self) -> None:
        self._printed: deque[tuple[int, str]] = deque(maxlen=MAX_PIECES)

    @property
    def pending(self) -> bool:
        """True if the queue is not empty."""
        return bool(self._printed)

    def put(self, number: int, printed: str) -> None:
        """Queue output that an item wrote to descriptor 1 (stdout) or 2 (stderr)."""
        self._printed.append((number, printed))

    def show(self) -> None:
        """Write the queued output to this process's stdout and stderr."""
        while self._printed:
            number, printed = self._printed.popleft()
            stream = sys.stdout if number == 1 else sys.stderr
            if stream is None:  # the process has no such stream
                continue
            text = "".join(map(_shown, printed.removesuffix("\n").split("\n")))
            with suppress(Exception):  # it is closed, or somebody's own
                _write(stream, text)
                stream.flush()


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError as error:
        stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))


def _shown(line: str) -> str:
    return escape_control(line.rstrip("\r").rpartition("\r")[2]) + "\n"
