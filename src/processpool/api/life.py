"""The life of a pool: it is opened, waited for, and closed."""

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
    """A pool as far as its beginning and its end go."""

    def __init__(
        self,
        config: PoolConfig,
        *,
        setup: Callable[[], object] | None = None,
        build: Build = build_engine,
    ) -> None:
        """Prepare a pool; no process runs before `with`, or `open()`.

        Args:
            config: its declaration.
            setup: of a Python pool: called once in each worker before its first item, instead of
                what `worker.setup` names.
            build: makes the engine; `processpool.testing` has one without processes.
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
        """Start the pool; return as soon as one worker is ready, while the others still start.

        Raises:
            WorkerStartFailed: no worker could be started; it says why.
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
        """Accept nothing more, finish what was submitted, end all workers, and wait for that.

        Args:
            grace: seconds that submitted work may still take, `timeouts.exit` if not given; what
                is not done by then fails with `PoolClosed`. None waits as long as it takes.
        """
        seconds = self.config.timeouts.exit if grace is ... else bounded(grace, "grace")
        if SHIELD.is_up:  # a signal's handler, in the middle of something that must end first
            self._engine.close(seconds, wait=False)
        else:
            self._close(seconds)

    @uninterrupted
    def _close(self, grace: float | None) -> None:
        with self._showing_the_end():
            self._engine.close(grace)
        self._free_shares()

    def kill(self) -> None:
        """End every worker at once; what they had, and what waits, fails with `PoolClosed`."""
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
            False if they are not after `timeout` seconds.

        Raises:
            WorkerStartFailed: none could be started.
        """
        self._engine.require_open()
        seconds = bounded(timeout, "timeout")
        return self._engine.wait_ready(self._engine.policy.min, seconds)

    def drain(self, timeout: float | str | None = None) -> bool:
        """Wait until everything that was submitted has ended; False after `timeout` seconds."""
        return self._engine.drain(bounded(timeout, "timeout"))

    def attach(self, viewer: Viewer) -> None:
        """Tell `viewer` when the pool is closed, and draw no progress bars while it is live."""
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
