"""The end of the interpreter: what open pools and executors do when nobody has closed them.

Nothing new is taken. Executors finish what they were given, however long it takes, as those of the
standard library do. Then the rest may still take the pools' exit grace; what is not done by then is
cancelled, with one line of warning. It happens while daemon threads still run, which `atexit` is
too late for. Ctrl-C in the meantime ends everything at once.
"""

from __future__ import annotations

import logging
import threading
import weakref
from contextlib import suppress
from time import monotonic
from typing import Protocol

from processpool.system.platform import in_forks

log = logging.getLogger("processpool")


class Waiting(Protocol):
    """Work that the interpreter waits for before it ends."""

    def wait(self) -> None:
        """Wait until it is done."""


class Closable(Protocol):
    """A pool's engine, as far as its end goes."""

    @property
    def unfinished(self) -> int:
        """Items that wait or run."""

    def begin_close(self, grace: float | None = None) -> bool:
        """Take nothing more; False if it is another process's, or was never opened."""

    def drain(self, timeout: float | None) -> bool:
        """Wait until nothing waits or runs."""

    def close(self, grace: float | None) -> None:
        """End every worker, and wait for it."""

    def kill(self) -> None:
        """End everything at once, and wait for it."""


_works: weakref.WeakSet[Waiting] = weakref.WeakSet()
_pools: weakref.WeakKeyDictionary[Closable, tuple[str, float]] = weakref.WeakKeyDictionary()
_over = False


def is_over() -> bool:
    """True once the interpreter has begun to end: nothing new is to be started."""
    return _over


def wait_for(work: Waiting) -> None:
    """Wait for this work when the interpreter ends; whoever does the work keeps it alive."""
    _works.add(work)


def close(engine: Closable, name: str, grace: float) -> None:
    """Close this pool when the interpreter ends; its work may still take `grace` seconds."""
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
                name, engine.unfinished, grace,
            )  # fmt: skip
        engine.close(max(end - monotonic(), 0))


def _after_fork() -> None:
    """What the parent waits for is no business of a child."""
    _works.clear()
    _pools.clear()


in_forks(_after_fork)
with suppress(RuntimeError):  # first imported when the interpreter ends: there is no pool yet
    threading._register_atexit(_end_all)  # type: ignore[attr-defined]
