"""Opening and closing of a pool."""

from __future__ import annotations

import weakref
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from processpool.api.call_forms import make_form
from processpool.api.seconds import bounded
from processpool.core.states import PoolState
from processpool.factory import build_engine
from processpool.system.interrupts import SHIELD, uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import EllipsisType, TracebackType
    from typing import Self

    from processpool.api.shared import Shared
    from processpool.api.view import Recording, Viewer
    from processpool.config import PoolConfig
    from processpool.factory import Build


class PoolLife:
    """The part of a pool that opens and closes it."""

    def __init__(
        self,
        config: PoolConfig,
        *,
        setup: Callable[[], object] | None = None,
        build: Build = build_engine,
    ) -> None:
        """Make a pool; no process is started before `with` or `open()`.

        Args:
            config: the pool's declaration.
            setup: for a Python pool, a function to call once in each worker before its first item,
                instead of `worker.setup`.
            build: makes the engine; `processpool.testing` passes one without processes.
        """
        self.config = config
        self._engine, parts = build(config, setup)
        self._form = make_form(parts)
        self._timeout = config.timeouts.request
        self._retries = config.retry.attempts > 1
        self._viewers: list[Viewer] = []
        self._shares: weakref.WeakSet[Shared] = weakref.WeakSet()
        self._trace: Recording | None = None

    @property
    def name(self) -> str:
        """The pool's name."""
        return self.config.name

    def open(self) -> Self:
        """Start the pool; return as soon as one worker is ready, while others are still starting.

        Raises:
            WorkerStartFailed: no worker could be started.
            PoolClosed: the pool was closed before.
        """
        engine = self._engine
        if engine.state is not PoolState.NEW:
            engine.require_open()
            return self
        finalizer = weakref.finalize(self, engine.close, None, wait=False)
        finalizer.atexit = False
        engine.open(min(1, self.config.size.min), self.config.timeouts.exit)
        return self

    def close(self, grace: float | str | EllipsisType | None = ...) -> None:
        """Reject new work, finish what was submitted, end all workers, and wait for that.

        Args:
            grace: the seconds that submitted work may still take, by default `timeouts.exit`;
                items not done by then fail with `PoolClosed`. None sets no limit.
        """
        seconds = self.config.timeouts.exit if grace is ... else bounded(grace, "grace")
        if SHIELD.is_up:  # in a signal handler that interrupted the pool's own code: do not wait
            self._engine.close(seconds, wait=False)
        else:
            self._close(seconds)

    @uninterrupted
    def _close(self, grace: float | None) -> None:
        with self._showing_the_end():
            self._engine.close(grace)
        self._free_shares()

    def kill(self) -> None:
        """Kill all workers at once; running and queued items fail with `PoolClosed`."""
        if SHIELD.is_up:
            self._engine.kill(wait=False)
            return
        with self._showing_the_end():
            self._engine.kill()
        self._free_shares()

    def __enter__(self) -> Self:
        return self.open()

    @uninterrupted
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.drain()
        except BaseException:  # interrupted
            self._close(0)
            raise
        self._close(0 if kind else self.config.timeouts.exit)

    def wait_ready(self, timeout: float | str | None = None) -> bool:
        """Wait until `size.min` workers are ready.

        Returns:
            False if they are not ready after `timeout` seconds.

        Raises:
            WorkerStartFailed: no worker could be started.
        """
        self._engine.require_open()
        seconds = bounded(timeout, "timeout")
        return self._engine.wait_ready(self._engine.policy.min, seconds)

    def drain(self, timeout: float | str | None = None) -> bool:
        """Wait until all submitted items have ended; return False after `timeout` seconds."""
        return self._engine.drain(bounded(timeout, "timeout"))

    def attach(self, viewer: Viewer) -> None:
        """Add a display: it is notified when the pool is closed, and replaces progress bars."""
        self._viewers.append(viewer)

    @property
    def _is_on_show(self) -> bool:
        return any(viewer.live for viewer in self._viewers)

    @contextmanager
    def _showing_the_end(self) -> Iterator[None]:
        with ExitStack() as ends:
            for viewer in self._viewers:
                ends.enter_context(viewer.closing())
            yield

    def _free_shares(self) -> None:
        for shared in list(self._shares):
            shared.close()
