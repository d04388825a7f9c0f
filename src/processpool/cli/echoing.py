"""`--echo`: what workers write to stderr, as it comes, each line behind its worker.

It is looked for ten times a second, and whenever an answer has come, so that what belongs to an
item stands before its answer. Of a flood only the end is shown.
"""

from __future__ import annotations

from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

from processpool.core.events import WorkerExited

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from processpool.api.pool import ProcessPool
    from processpool.core import events

EVERY = 0.1
"""Seconds between two looks."""


class _Seen(NamedTuple):
    bytes: int = 0
    """How many bytes of a worker's stderr were seen."""
    rest: str = ""
    """The line that had not ended."""


class Echoing:
    """Shows what the workers of a pool write to stderr."""

    def __init__(self, pool: ProcessPool, show: Callable[[str], None]) -> None:
        """`show` writes whole lines."""
        self._pool = pool
        self._show = show
        self._seen: dict[int, _Seen] = {}
        self._lock = Lock()
        self._ended = Event()
        self._thread = Thread(target=self._run, name="processpool-echo", daemon=True)
        self._unsubscribe: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        self._unsubscribe = self._pool.events(self._on_event)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.look()
        assert self._unsubscribe is not None
        self._unsubscribe()
        with self._lock:
            for number, seen in self._seen.items():
                if seen.rest:
                    self._show(f"worker {number}: {seen.rest}")

    def look(self) -> None:
        """Show what has come since the last look."""
        for worker in self._pool.snapshot(resources=False).workers:
            self._take(worker.id, worker.stderr_bytes, worker.stderr)

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            self.look()

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, WorkerExited):
            self._take(event.worker_id, event.stderr_bytes, event.stderr)

    def _take(self, number: int, received: int, tail: str) -> None:
        """A worker has written so many bytes in all, of which this is the end."""
        with self._lock:
            seen = self._seen.get(number, _Seen())
            if received <= seen.bytes:
                return
            end = tail.encode("utf-8", "surrogateescape")
            count = received - seen.bytes
            new = end[-count:].decode("utf-8", "replace")
            *whole, rest = (seen.rest + new).split("\n")
            self._seen[number] = _Seen(received, rest)
            if count > len(end):
                whole.insert(0, f"[… {count - len(end)} bytes dropped …]")
            if whole:
                self._show("\n".join(f"worker {number}: {line}" for line in whole))
