"""The shutdown of pools and executors that are still open when the interpreter exits.

They reject new work. Executors finish their pending work, however long that takes, as those of the
standard library do. Then each pool has its exit grace to finish the rest; items not done by then
are cancelled, with a warning. This happens while daemon threads are still running, for which
`atexit` would be too late. Ctrl-C meanwhile kills everything at once.
"""

from __future__ import annotations

import logging
import threading
import weakref
from contextlib import suppress
from time import monotonic
from typing import Protocol

from processpool.core.log_fields import log_fields
from processpool.system.platform import in_forks

log = logging.getLogger("processpool")


class Waiting(Protocol):
    """Work that the interpreter waits for before it exits."""

    def wait(self) -> None:
        """Wait until it is done."""


class Closable(Protocol):
    """A pool's engine, as far as it concerns its end."""

    @property
    def unfinished(self) -> int:
        """The number of queued and running items."""

    def begin_close(self, grace: float | None = None) -> bool:
        """Reject new work; return False in a fork, or if it was never opened."""

    def drain(self, timeout: float | None) -> bool:
        """Wait until no item is queued or running; return False on timeout."""

    def close(self, grace: float | None) -> None:
        """End all workers, and wait for that."""

    def kill(self) -> None:
        """Kill all workers at once, and wait for that."""


_works: weakref.WeakSet[Waiting] = weakref.WeakSet()
_pools: weakref.WeakKeyDictionary[Closable, tuple[str, float]] = weakref.WeakKeyDictionary()
_over = False


def is_over() -> bool:
    """Return whether the interpreter is exiting, so that nothing new may be started."""
    return _over


def wait_for(work: Waiting) -> None:
    """Wait for this work when the interpreter exits; it is only referred to weakly."""
    _works.add(work)


def close(engine: Closable, name: str, grace: float) -> None:
    """Close this pool when the interpreter exits, giving its work `grace` seconds to finish."""
    _pools[engine] = name, grace


def _end_all() -> None:
    global _over
    _over = True
    try:
        pools = [(*known, engine) for engine, known in list(_pools.items()) if engine.begin_close()]
        for work in list(_works):
            work.wait()
        _close_all(pools)
    except BaseException:
        for engine in list(_pools):
            engine.kill()
        raise


def _close_all(pools: list[tuple[str, float, Closable]]) -> None:
    began = monotonic()
    for name, grace, engine in pools:
        end = began + grace
        if not engine.drain(max(end - monotonic(), 0)):
            log.warning(
                "the interpreter ends, and pool %r had still %d items after %g s: they are "
                "cancelled; write `with pool:`, or pool.drain(), to have them finished",
                name, engine.unfinished, grace, extra=log_fields(name),
            )  # fmt: skip
        engine.close(max(end - monotonic(), 0))


def _after_fork() -> None:
    """Forget everything in a forked child, as only the parent waits for it."""
    _works.clear()
    _pools.clear()


in_forks(_after_fork)
with suppress(RuntimeError):  # raised if this is first imported during exit, without any pool
    threading._register_atexit(_end_all)  # type: ignore[attr-defined]
