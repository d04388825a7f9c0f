"""The last lines that the workers wrote, each with its worker: to stderr, or what items printed.

Since the text comes from programs, control characters are escaped here, and the length and number
of lines are bounded.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from processpool.system.text import escape_control

if TYPE_CHECKING:
    from processpool.core.snapshot import Failure, PoolSnapshot, WorkerSnapshot

MAX_LINES = 200
"""The most lines that are kept."""
MAX_NEW_LINES = 20
"""The most new lines of one snapshot that are shown; of more, the last ones."""
MAX_WIDTH = 300
"""The most characters of a line that are shown."""

Line = tuple[int, str]
"""A worker's number (0 for a message of the display itself) and a line without its newline."""


class Log:
    """The last lines of all workers."""

    def __init__(self) -> None:
        self.lines: deque[Line] = deque(maxlen=MAX_LINES)
        self._seen: dict[int, int] = {}
        """How many bytes of stderr were read so far, by worker."""
        self._failed_at = float("-inf")
        self._printed = 0
        """How many items' output was taken so far."""

    def note(self, snapshot: PoolSnapshot) -> list[Line]:
        """Take a snapshot and return the new lines."""
        fresh: list[Line] = []
        for worker in snapshot.workers:
            if worker.stderr_bytes != self._seen.get(worker.id, 0):
                fresh += [(worker.id, line) for line in self._new_lines(worker)]
        for number, worker_id, text in snapshot.prints:
            if number > self._printed:
                fresh += [(worker_id, line) for line in lines_of(text)]
        if snapshot.prints:
            self._printed = snapshot.prints[-1][0]
        if snapshot.last_failure is not None:
            fresh += self._last_words(snapshot.last_failure)
        if len(self._seen) > len(snapshot.workers):
            present = {worker.id for worker in snapshot.workers}
            self._seen = {key: seen for key, seen in self._seen.items() if key in present}
        if len(fresh) > MAX_NEW_LINES:
            skipped = len(fresh) - MAX_NEW_LINES
            fresh = [(0, f"… {skipped:,} lines are not shown …"), *fresh[-MAX_NEW_LINES:]]
        self.lines.extend(fresh)
        return fresh

    def _last_words(self, failure: Failure) -> list[Line]:
        """Return the lines that a failed worker wrote after the last snapshot that had it."""
        if failure.at <= self._failed_at or failure.worker_id is None:
            return []
        self._failed_at = failure.at
        text = failure.stderr.encode("utf-8", "replace")
        seen = self._seen.get(failure.worker_id, 0)
        self._seen[failure.worker_id] = max(seen, len(text))
        words = text[seen:].decode("utf-8", "replace") if seen < len(text) else ""
        return [(failure.worker_id, line) for line in lines_of(words)]

    def _new_lines(self, worker: WorkerSnapshot) -> list[str]:
        count = worker.stderr_bytes - self._seen.get(worker.id, 0)
        self._seen[worker.id] = worker.stderr_bytes
        text = worker.stderr.encode("utf-8", "replace")[-count:].decode("utf-8", "replace")
        return lines_of(text)


def lines_of(text: str, last: int | None = None) -> list[str]:
    """Return the non-empty lines of a worker's text, escaped and cut; of the `last` lines only."""
    lines = text.splitlines()
    if last is not None:
        lines = lines[-last:]
    return [_cut(escape_control(line)) for line in lines if line.strip()]


def _cut(line: str) -> str:
    return line if len(line) <= MAX_WIDTH else line[: MAX_WIDTH - 1] + "…"
