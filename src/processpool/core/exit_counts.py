"""How many workers were started, and why how many have ended, from the events of a pool."""

from __future__ import annotations

from processpool.core.events import Event, WorkerExited, WorkerFailedToStart, WorkerStarted


class ExitCounts:
    """Counts that only grow; may be read on any thread."""

    def __init__(self, workers: int = 0) -> None:
        """Begin with as many workers as there are."""
        self.started = workers
        """Workers that were started."""
        self.exits: dict[str, int] = {}
        """By reason, workers that have ended: why the pool has ended them, such as `timeout`; or
        `exit 1` or `signal 9`, of those that ended by themselves."""
        self.failed_starts = 0
        """Workers that could not be started, or ended before they were ready."""

    def note(self, event: Event) -> None:
        """Something has happened."""
        if type(event) is WorkerExited:
            reason = event.reason or _how(event.exitcode)
            self.exits[reason] = self.exits.get(reason, 0) + 1
        elif type(event) is WorkerStarted:
            self.started += 1
        elif type(event) is WorkerFailedToStart:
            self.failed_starts += 1


def _how(exitcode: int) -> str:
    return f"exit {exitcode}" if exitcode >= 0 else f"signal {-exitcode}"
