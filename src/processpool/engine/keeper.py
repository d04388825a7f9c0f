"""The keeper: the engine's own thread, which starts processes, and leads when no thread waits.

All processes are started on this thread, since a parent-death signal in Linux follows the *thread*
that started the process. The thread ends last, when nothing of the pool is left.
"""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING

from processpool.core.log_fields import log_fields
from processpool.core.states import PoolState
from processpool.system.monitor import WAIT, must_not_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from processpool.engine.core import Core
    from processpool.engine.spawner import Spawner

log = logging.getLogger("processpool")

_FAILED = "the engine of a pool failed: its workers are killed"


class Keeper(threading.Thread):
    """The thread that runs an engine from its opening to its end."""

    def __init__(self, core: Core, spawner: Spawner, finish: Callable[[], None]) -> None:
        """`finish` is called on this thread before it ends."""
        super().__init__(name="processpool-engine", daemon=True)
        self._core = core
        self._spawner = spawner
        self._finish = finish
        self._has_failed = False
        """True once a turn has raised, which is a bug."""

    def run(self) -> None:
        """Start workers, and lead when no other thread does, until the pool is closed."""
        core = self._core
        must_not_wait.add(threading.get_ident())
        try:
            core.decide(core.scheduler.opened)
            while True:
                with core.lock:
                    if self._is_over:
                        return
                    start_at = core.scheduler.next_start
                if start_at is not None and start_at <= monotonic():
                    self._spawner.start_wanted()
                    start_at = 0.0
                core.lead.keep(start_at)
        except BaseException:
            log.exception(_FAILED, extra=log_fields(core.name))
            raise
        finally:
            self._finish()
            must_not_wait.discard(threading.get_ident())

    def turn(self, until: float | None) -> None:
        """Sleep until there are events, and handle them; called by the leader, on any thread.

        Args:
            until: the time at which to stop sleeping; None for no limit but `WAIT`.
        """
        core = self._core
        try:
            due = core.loop.planned
            if due is not None and due <= monotonic():
                core.decide(core.scheduler.tick)
                until = 0.0  # this thread may wait for what was decided: it looks before it sleeps
            core.loop.turn(until, WAIT)
        except BaseException:
            if threading.current_thread() is self:
                raise
            log.exception(_FAILED, extra=log_fields(core.name))
            self._has_failed = True
            core.lead.wake_keeper()

    @property
    def _is_over(self) -> bool:
        scheduler = self._core.scheduler
        closing = scheduler.state is PoolState.CLOSING
        return self._has_failed or (closing and not scheduler.slots and not scheduler.has_work)
