"""The pool that calls of `Parallel` share, one after another or at the same time."""

from __future__ import annotations

from threading import Lock, Thread
from typing import Any

from processpool import ProcessPool


class ReusedPool:
    """A pool that is made when it is first needed, and again when its declaration changes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pool: ProcessPool | None = None
        self._keywords: dict[str, Any] = {}

    def take(self, size: int, keywords: dict[str, Any]) -> ProcessPool:
        """Return the open pool, with so many workers and these keywords of `ProcessPool`."""
        with self._lock:
            pool = self._pool
            if pool is None or pool.state != "open" or keywords != self._keywords:
                if pool is not None:
                    Thread(target=pool.close, args=(None,), daemon=True).start()
                declared = {"name": "joblib", **keywords}
                declared["size"] = {"min": 0, "max": size, "spare": size}
                declared.setdefault("queue", {"max_pending": 1_000_000})
                self._pool = pool = ProcessPool(**declared).open()
                self._keywords = keywords
            elif pool.snapshot(resources=False).max != size:
                pool.resize(min=0, max=size, spare=size)
            return pool

    def close(self) -> None:
        """End the workers; the next `take` starts others."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(0)
