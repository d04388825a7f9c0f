"""Shows what items print while they run, on the thread that waits for their answers.

Whole lines are shown, each made harmless for a terminal. Of a line that is rewritten again and
again, as progress bars do, only the last state is shown.
"""

from __future__ import annotations

import sys
from collections import deque

from processpool.system.text import escape_control

KEPT = 10_000
"""Pieces of output that wait to be shown, at most; older ones are dropped."""


class Echo:
    """The output of one map's items, on its way from the engine's thread to the map's."""

    def __init__(self) -> None:
        self._printed: deque[tuple[int, str]] = deque(maxlen=KEPT)

    @property
    def pending(self) -> bool:
        """True if something is to be shown."""
        return bool(self._printed)

    def put(self, number: int, printed: str) -> None:
        """Keep what an item has printed to 1 (stdout) or 2 (stderr)."""
        self._printed.append((number, printed))

    def show(self) -> None:
        """Print it to this process's stdout and stderr."""
        while self._printed:
            number, printed = self._printed.popleft()
            stream = sys.stdout if number == 1 else sys.stderr
            if stream is None:  # as under cron or pythonw: there is nobody to see it
                continue
            stream.write("".join(map(_shown, printed.removesuffix("\n").split("\n"))))
            stream.flush()


def _shown(line: str) -> str:
    return escape_control(line.rstrip("\r").rpartition("\r")[2]) + "\n"
