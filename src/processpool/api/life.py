"""Opening and closing of a pool."""

from __future__ import annotations

import weakref
from contextlib import ExitStack, contextmanager

from processpool.api.late import arrive, late
from processpool.api.leaves import leaf
from processpool.system.interrupts import SHIELD, uninterrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import EllipsisType, TracebackType
    from typing import Any, Self, Unpack

    from processpool.api.call_forms import Form, make_form
    from processpool.api.keywords import PoolKeywords
    from processpool.api.seconds import bounded
    from processpool.api.shared import Shared
    from processpool.api.streams import cut_streams, open_streams
    from processpool.api.view import Follower, Recording, Viewer
    from processpool.config import PoolConfig
    from processpool.core.states import PoolState
    from processpool.core.terms import USUAL, Terms
    from processpool.factory import Build, build_engine

late(
    globals(),
    {
        "processpool.api.call_forms": "make_form",
        "processpool.api.seconds": "bounded",
        "processpool.api.streams": "cut_streams open_streams",
        "processpool.core.states": "PoolState",
        "processpool.core.terms": "USUAL",
        "processpool.factory": "build_engine",
    },
)


class PoolLife:
    """The part of a pool that opens and closes it."""

    def __init__(
        self,
        config: PoolConfig | None = None,
        *,
        setup: Callable[[], object] | str | None = None,
        build: Build | None = None,
        **keywords: Unpack[PoolKeywords],
    ) -> None:
        """Make a pool; no process is started before `with` or `open()`.

            ProcessPool(max_workers=4)                                       # of Python functions
            ProcessPool(command=["sed", "-u", "s/a/b/"], protocol="lines")   # of a program

        Args:
            config: the pool's declaration; without one, the keywords declare it.
            setup: for a Python pool, a function to call once in each worker before its first item,
                or its name, as in `worker.setup`.
            build: makes the engine; `processpool.testing` passes one without processes.
            **keywords: keys of the YAML file: `name`, `size`, `timeouts` and the other sections;
                those of `worker`, such as `command` and `protocol`, or `handler` and `preload`; and
                `max_workers`, which is `size.max`. They are listed in `PoolKeywords`.

        Raises:
            ConfigError: the keywords do not declare a valid pool; the message lists all problems.
        """
        arrive()
        named = {"setup": setup} if isinstance(setup, str) else {}
        call = None if isinstance(setup, str) else setup
        self.config = _declared(config, {**keywords, **named}, has_setup=call is not None)
        self._setup = call
        self._engine, parts = (build or build_engine)(self.config, call)
        self._form = make_form(parts)
        self._timeout = self.config.timeouts.request
        self._terms = USUAL
        self._viewed: Self | None = None
        """The pool that this is a view of, which must not be collected before it."""
        self._retries = self.config.retry.attempts > 1
        self._viewers: list[Viewer] = []
        self._followers: list[Follower] = []
        self._shares: weakref.WeakSet[Shared] = weakref.WeakSet()
        self._trace: Recording | None = None
        if self.config.telemetry.otel:
            leaf("otel").instrument(self)

    @property
    def name(self) -> str:
        """The pool's name."""
        return self.config.name

    def on_terms(
        self,
        timeout: float | None,
        terms: Terms,
        *,
        kind: type[Any] | None = None,
        form: Form | None = None,
    ) -> Self:
        """Return a view of the pool: items that are handed in there are run on these terms.

        For leaves, it may be of another class, and take work in another form.
        """
        view: Self = object.__new__(kind or type(self))
        vars(view).update(vars(self))
        view._viewed = self._viewed or self
        view._timeout, view._terms = timeout, terms
        view._form = form or self._form
        retries = terms.retries
        attempts = self.config.retry.attempts if retries is None else retries.attempts
        view._retries = attempts > 1
        return view

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
        cut_streams(self._engine)
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
            cut_streams(self._engine)
            if kind is None:
                self.drain()
        except BaseException:  # interrupted
            self._close(0)
            raise
        self._close(0 if kind else self.config.timeouts.exit)

    async def __aenter__(self) -> Self:
        from asyncio import to_thread

        try:
            return await to_thread(self.open)
        except BaseException:  # cancelled, say: the thread that opens it comes to nothing
            self._engine.kill(wait=False)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from asyncio import to_thread

        try:
            if kind is None:
                await to_thread(self.drain)
        except BaseException:  # cancelled
            await to_thread(self._close, 0)
            raise
        await to_thread(self._close, 0 if kind else self.config.timeouts.exit)

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
        seconds = bounded(timeout, "timeout")
        with open_streams(self._engine):
            return self._engine.drain(seconds)

    def attach(self, viewer: Viewer) -> None:
        """Add a display: it is notified when the pool is closed, and replaces progress bars."""
        self._viewers.append(viewer)

    def follow(self, follower: Follower) -> None:
        """Add what is told of every map from now on, on the threads that run them."""
        self._followers.append(follower)

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


def _declared(
    config: PoolConfig | None, keywords: Mapping[str, Any], *, has_setup: bool
) -> PoolConfig:
    """Return the declaration that a pool was made with."""
    if config is None:
        from processpool.config import pool_from_keywords

        return pool_from_keywords(keywords, has_setup=has_setup)
    if keywords:
        raise TypeError(
            "a pool is made from a PoolConfig or from keywords, not from both: put "
            f"{next(iter(keywords))} into the PoolConfig"
        )
    return config
